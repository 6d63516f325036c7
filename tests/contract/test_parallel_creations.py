"""Limits of what an organization may have hold although many creations begin before the first one ends."""

import asyncio
from typing import Any

import httpx
import pytest

from control.texts import feature as texts
from control.triggers import feature as triggers
from tests.contract.conftest import Edge
from tests.control.conftest import UNLIMITED
from tests.support.databases import blocked
from tests.support.waits import until

MOST, AT_ONCE = 2, 6


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(triggers, "MAX_TRIGGERS", MOST)
    monkeypatch.setattr(texts, "MAX_TEMPLATES", MOST)
    return {**UNLIMITED, "max_webhooks": MOST, "mcp_servers": MOST, "organization_requests": AT_ONCE}


@pytest.mark.parametrize(
    ("path", "table", "fields"),
    [
        ("/api/triggers", "triggers", {"event": "external.order_paid"}),
        ("/api/webhooks", "webhooks", {"url": "https://hooks.example/hum", "events": ["sms.*"]}),
        ("/api/mcp-servers", "mcp_servers", {"url": "https://mcp.example/mcp"}),
        ("/api/sms/templates", "sms_templates", {"body": "Hello"}),
    ],
)
async def test_creations_at_once_stay_within_the_limit(
    edge: Edge, path: str, table: str, fields: dict[str, Any]
) -> None:
    http, db = await edge.client(), edge.plane.control.db

    async def create(number: int) -> httpx.Response:
        name = {} if table == "webhooks" else {"name": f"Number {number}"}
        return await http.post(path, json=name | fields)

    async with db.system() as holding, db.system() as looking:
        # Nothing can be stored, and all can count: without a lock each creation finds that there is none yet.
        await holding.execute(f"LOCK TABLE {table} IN SHARE MODE")
        creating = asyncio.gather(*(create(number) for number in range(AT_ONCE)))

        async def all_wait() -> bool:
            return creating.done() or await blocked(looking) == AT_ONCE

        await until(all_wait)
    answers = await creating
    codes = [answer.json()["error"]["code"] for answer in answers if answer.status_code != 201]
    assert codes == ["plan_limit"] * (AT_ONCE - MOST), [answer.text for answer in answers]
    async with db.system() as tx:
        assert await tx.fetchval(f"SELECT count(*) FROM {table}") == MOST
