"""A campaign of 100,000 recipients over REST: created in pages, forecast, launched, listed and canceled in bounded memory."""

import json
from typing import Any

import psutil
import pytest

from control.campaigns.dispatching import Dispatcher
from tests.contract.conftest import Edge
from tests.contract.test_campaigns import CAMPAIGNS, clinic, guide
from tests.control.campaigns.conftest import LIMITS

RECIPIENTS, PAGE = 100_000, 2000
MOST_BYTES = 1 << 20
#: Gateway and control together, in this process; a hundred thousand recipients as objects would be several times that.
MOST_GROWTH_MB = 60


@pytest.fixture
def public_socket() -> dict[str, Any]:
    return {"body_bytes": MOST_BYTES}


def resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


@pytest.mark.strain
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_recipients(edge: Edge) -> None:
    http, number = await clinic(edge)
    body = guide(number, recipients=[], body_template="Hi {{first}}, time to refill.", honor_quiet_hours=False)
    id = (await http.post(CAMPAIGNS, json={**body, "throttle_per_minute": None})).json()["id"]
    path, before_mb = f"{CAMPAIGNS}/{id}", resident_mb()
    for page in range(RECIPIENTS // PAGE):
        recipients = [
            {"contact_e164": f"+1212{530 + page}{n:04d}", "variables": {"first": f"Ada {n}"}} for n in range(PAGE)
        ]
        sent = json.dumps({"recipients": recipients})
        assert len(sent) < MOST_BYTES
        answer = await http.post(f"{path}/recipients", content=sent, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
    forecast = (await http.post(f"{path}/launch", json={"validate_only": True})).json()["forecast"]
    assert (forecast["recipients"], forecast["segments_estimated"]) == (RECIPIENTS, True)
    launched = (await http.post(f"{path}/launch")).json()
    assert (launched["status"], launched["counts"]["pending"]) == ("queued", RECIPIENTS)
    await Dispatcher(edge.plane.control.db, LIMITS).dispatch()
    seen, sending = 0, 0
    cursor: str | None = ""
    while cursor is not None:
        found = (await http.get(f"{path}/recipients", params={"limit": 200, "cursor": cursor})).json()
        seen, cursor = seen + len(found["recipients"]), found["next_cursor"]
        sending += sum(each["status"] == "sending" for each in found["recipients"])
    assert (seen, sending) == (RECIPIENTS, LIMITS.window)
    assert resident_mb() - before_mb < MOST_GROWTH_MB
    assert (await http.post(f"{path}/cancel")).json()["status"] == "canceled"
    while (await http.get(path)).json()["counts"]["pending"]:
        async with edge.plane.control.db.system() as tx:
            await tx.execute("UPDATE campaigns SET look_at = now() WHERE look_at IS NOT NULL")
        await Dispatcher(edge.plane.control.db, LIMITS).dispatch()
    assert (await http.get(path)).json()["counts"]["canceled"] == RECIPIENTS
