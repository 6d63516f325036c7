"""`GET /api/models`: what a flow may name, and what was measured of each on the organization's own calls."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.usage import callentries, meters, pricetable, usecases
from control.usage.pricetable import Prices
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import callmodels, events, latencies, usage
from storage.latencies import LatencyRow
from storage.usage import Owner, Usage
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_live_stream import answered

PRICES = Prices(
    pricetable.read(
        """
        [[prices]]
        of = "gpt-realtime"
        from = 2026-01-01
        currency = "USD"
        audio_tokens_in = "30"
        audio_tokens_out = "60"

        [[prices]]
        of = "in-euros"
        from = 2026-01-01
        currency = "EUR"
        audio_tokens_in = "1"
        """
    )
)


async def call(
    edge: Edge,
    org: UUID,
    *models: str,
    first_sounds_ms: tuple[int, ...] = (),
    used: tuple[Usage, ...] = (),
    minutes: float = 2,
    days_ago: float = 1,
    transferred: bool = False,
    is_counted: bool = True,
) -> None:
    """A completed call that spoke with these models."""
    id, at = ids.new(), now() - timedelta(days=days_ago)
    async with edge.plane.control.db.system() as tx:
        await tx.execute(
            "INSERT INTO calls (id, org_id, from_e164, to_e164, direction, status, created_at, answered_at, ended_at)"
            " VALUES ($1, $2, '+1', '+2', 'inbound', 'completed', $3, $3, $4)",
            id, org, at, at + timedelta(minutes=minutes),
        )  # fmt: skip
        for model in models:
            await callmodels.note(tx, id, model)
        for number, first_sound_ms in enumerate(first_sounds_ms):
            row = LatencyRow(1, number, number, first_sound_ms, first_sound_ms, 100, first_sound_ms - 100)
            await latencies.add(tx, org, id, row)
        if transferred:
            await tx.execute(
                "INSERT INTO transfers (org_id, id, call_id, to_e164, caller_id_e164, asked_by, summary, ring_seconds,"
                " whispers, needs_key, unanswered, state, started_at, connected_at, ended_at)"
                " VALUES ($1, $2, $3, '+3', '+2', 'agent', '', 20, false, false, 'agent', 'completed', $4, $4, $4)",
                org, ids.new(), id, at,
            )  # fmt: skip
        await usage.upsert(tx, Owner(org, id, None, None), list(used), at)
        if is_counted:
            await usecases.count(tx, PRICES, [events.Event(1, "1", org, "usage.recorded", id, None, at, ids.new())])


def tokens(model: str, heard: int, spoken: int = 0) -> tuple[Usage, ...]:
    part = callentries.stream_part(1)
    used = [Usage(part, meters.AUDIO_IN, model, heard), Usage(part, meters.AUDIO_OUT, model, spoken)]
    return tuple(each for each in used if each.quantity)


async def models(http: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = (await http.get("/api/models")).raise_for_status().json()["models"]
    return {each["name"]: each for each in answer}


async def organization(http: httpx.AsyncClient) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])


async def test_each_organization_sees_what_its_own_calls_measured(edge: Edge) -> None:
    http, stranger = await edge.client("Clinic"), await edge.client("Stranger")
    org = await organization(http)
    used = tokens("gpt-realtime", 20_000, 10_000)  # 1.20 USD
    await call(edge, org, "gpt-realtime", first_sounds_ms=(700, 900), used=used, minutes=2)
    await call(
        edge, org, "gpt-realtime", first_sounds_ms=(800,), used=(*used, Usage("summary", meters.TEXT_IN, "x", 9))
    )
    found = await models(http)
    assert next(iter(found)) == "gpt-realtime-2.1" and found["gpt-realtime-2.1"]["is_default"]
    assert found["gpt-realtime"] == {
        "name": "gpt-realtime",
        "kind": "realtime",
        "is_default": False,
        "languages": [],
        "calls": 2,
        "first_sound_p50_ms": 800,
        "first_sound_p95_ms": 900,
        "minute_cost": {"currency": "USD", "amount": "0.6000"},
    }
    unmeasured = {"calls": 0, "first_sound_p50_ms": None, "first_sound_p95_ms": None, "minute_cost": None}
    assert unmeasured.items() <= found["gpt-realtime-mini"].items()
    assert unmeasured.items() <= (await models(stranger))["gpt-realtime"].items()


@pytest.mark.parametrize(
    ("other", "calls"),
    [
        ({"models": ("gpt-realtime", "gpt-realtime-mini"), "first_sounds_ms": (9_000,), "minutes": 1}, 1),
        ({"models": ("gpt-realtime",), "first_sounds_ms": (9_000,), "days_ago": 31}, 1),
        ({"models": ("gpt-realtime",), "transferred": True, "minutes": 30, "used": tokens("gpt-realtime", 10)}, 2),
        ({"models": ("gpt-realtime",), "is_counted": False, "used": tokens("gpt-realtime", 10)}, 2),
        ({"models": ("gpt-realtime",), "used": ()}, 2),
    ],
    ids=["two models", "old", "transferred", "not yet counted", "nothing used"],
)
async def test_calls_that_would_distort_the_figures_are_left_out(edge: Edge, other: dict[str, Any], calls: int) -> None:
    http = await edge.client()
    org = await organization(http)
    await call(edge, org, "gpt-realtime", first_sounds_ms=(700,), used=tokens("gpt-realtime", 40_000))
    await call(edge, org, *other.pop("models"), **other)
    found = (await models(http))["gpt-realtime"]
    assert (found["calls"], found["first_sound_p95_ms"], found["minute_cost"]["amount"]) == (calls, 700, "0.6000")


@pytest.mark.parametrize("item", ["without-a-price", "in-euros"])
async def test_no_cost_is_shown_that_is_not_known_whole(edge: Edge, item: str) -> None:
    http = await edge.client()
    org = await organization(http)
    await call(edge, org, "gpt-realtime", used=(*tokens("gpt-realtime", 40_000), *tokens(item, 1_000)))
    found = (await models(http))["gpt-realtime"]
    assert (found["calls"], found["minute_cost"]) == (1, None)


async def test_a_call_names_the_model_that_its_agent_spoke_with(edge: Edge) -> None:
    http = await flow_with_number(edge, model="gpt-realtime-mini")
    media = await answered(edge)
    assert (await http.get(f"/api/calls/{media.call_id}")).json()["models"] == ["gpt-realtime-mini"]
