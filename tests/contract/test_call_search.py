"""Finding calls over REST: every filter, alone and together, page by page."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hum import ids
from hum.ids import Kind
from storage import call_records, calls, contacts
from storage.calls import TurnRow
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number
from tests.support.examples import sample

OURS = CALL["To"]
BEGIN = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def ten_calls(edge: Edge) -> tuple[httpx.AsyncClient, list[str]]:
    """Ten calls, an hour apart, of two callers; returned with their ids, oldest first."""
    http = await flow_with_number(edge)
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    number = (await http.get("/api/numbers")).json()["numbers"][0]
    flow, number_id = ids.require(Kind.FLOW, number["flow_id"]), ids.require(Kind.NUMBER, number["id"])
    made = []
    async with edge.plane.control.db.system() as tx:
        callers = [("+13175550199", "Ann O'Brien"), ("+442079460958", "Zoë Müller")]
        known = [
            (phone, (await contacts.find_or_create(tx, ids.new(), org, phone, name)).id) for phone, name in callers
        ]
        for n in range(10):
            (other, contact), inbound = known[n % 2], n % 3 != 0
            id = ids.new()
            made.append(ids.show(Kind.CALL, id))
            call = calls.NewCall(
                id,
                org,
                f"CA{n}",
                "inbound" if inbound else "outbound",
                "completed" if n < 8 else "failed",
                other if inbound else OURS,
                OURS if inbound else other,
                number_id if n < 6 else None,
                flow if n < 9 else None,
                1 if n < 9 else None,
                contact,
            )
            await calls.create(tx, call)
            await tx.execute("UPDATE calls SET created_at = $2 WHERE id = $1", id, BEGIN + timedelta(hours=n))
            await tx.execute(
                "UPDATE call_search SET created_at = $2 WHERE call_id = $1", id, BEGIN + timedelta(hours=n)
            )
            text = f"I need a plumber, case {n}" if n % 2 else "Das Rohr in der Küche tropft"
            await calls.add_turn(tx, org, id, TurnRow(1, "caller", text, None, 0, 900, False))
            label = "resolved" if n % 4 == 0 else None
            await call_records.set_summary(tx, id, {"text": f"Summary {n}"}, None, label)
    async with edge.plane.control.db.tenant(org) as tx:
        for shown in made:
            await call_records.index(tx, ids.require(Kind.CALL, shown))
    for shown in made[:4]:
        await http.post(f"/api/calls/{shown}/tags", json={"tag": "vip"})
    return http, made


@pytest.mark.sampled
async def test_every_filter(edge: Edge) -> None:
    http, made = await ten_calls(edge)
    flow = (await http.get("/api/flows")).json()["flows"][0]["id"]
    number = (await http.get("/api/numbers")).json()["numbers"][0]["id"]
    contact = (await http.get("/api/contacts", params={"q": "ann"})).json()["contacts"][0]["id"]

    async def found(**query: Any) -> list[int]:
        answer = await http.get("/api/calls", params=query)
        assert answer.status_code == 200, answer.text
        return [made.index(each["id"]) for each in answer.json()["calls"]]

    every = list(range(9, -1, -1))
    ann, zoe = [n for n in every if n % 2 == 0], [n for n in every if n % 2]
    filters: dict[str, tuple[dict[str, Any], list[int]]] = {
        "none": ({}, every),
        "direction": ({"direction": "outbound"}, [n for n in every if n % 3 == 0]),
        "status": ({"status": "failed"}, [9, 8]),
        "flow": ({"flow_id": flow}, every[1:]),
        "number": ({"number_id": number}, every[4:]),
        "contact": ({"contact": contact}, ann),
        "phone": ({"contact": "+1 (317) 555-0199"}, ann),
        "tag": ({"tag": "vip"}, [3, 2, 1, 0]),
        "outcome": ({"outcome": "resolved"}, [8, 4, 0]),
        "from": ({"from": "2026-03-01T12:00:00Z"}, every[:7]),
        "to": ({"to": "2026-03-01T12:00:00Z"}, every[7:]),
    }
    words: dict[str, tuple[dict[str, Any], list[int]]] = {
        "transcript": ({"q": "plumber"}, zoe),
        "phrase": ({"q": '"rohr in der" kuche'}, ann),
        "without": ({"q": "plumber -case"}, []),
        "either": ({"q": "plumber or rohr"}, every),
        "summary": ({"q": "summary 7"}, [7]),
        "name": ({"q": "o'brien"}, ann),
        "accents": ({"q": "Zoe muller"}, zoe),
        "number": ({"q": "(317) 555-0199"}, ann),
        "part of a number": ({"q": "7946"}, zoe),
        "ours": ({"q": OURS}, every),
        "nothing": ({"q": "!!!"}, []),
        "nobody": ({"q": "electrician"}, []),
    }
    for name, (query, wanted) in {**filters, **words}.items():
        assert await found(**query) == wanted, name
    pairs = list(itertools.combinations({**filters, "q": words["transcript"]}.items(), 2))
    for (a, (one, first)), (b, (other, second)) in sample(pairs, 4):
        if one.keys() & other.keys():
            continue
        assert await found(**one, **other) == [n for n in first if n in second], (a, b)
    together = {"q": "rohr", "direction": "inbound", "status": "completed", "flow_id": flow, "number_id": number}
    together |= {"contact": contact, "tag": "vip", "from": "2026-03-01T09:00:00Z", "to": "2026-03-01T12:00:00Z"}
    assert await found(**together) == [2]
    assert await found(**together, outcome="resolved") == []
    stranger = await edge.client("Other")
    for query, _ in {**filters, **words}.values():
        assert (await stranger.get("/api/calls", params=query)).json()["calls"] == []


async def test_a_filter_is_short(edge: Edge) -> None:
    names = {"flow_id", "number_id", "contact", "tag", "outcome_label"}
    async with await edge.client() as http:
        refused = await http.get("/api/calls", params=dict.fromkeys(names, "\u0316" * 300))
    assert refused.status_code == 400
    assert {each["field"] for each in refused.json()["error"]["details"]} == names


async def test_pages_hold_each_call_once(edge: Edge) -> None:
    http, _ = await ten_calls(edge)
    for query in ({}, {"q": "summary"}, {"q": "+1317", "direction": "inbound"}, {"tag": "vip"}):
        whole = (await http.get("/api/calls", params=query)).json()["calls"]
        paged: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await http.get("/api/calls", params={**query, "limit": "3", **cursor})).json()
            paged += page["calls"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert paged == whole
        refused = await http.get("/api/calls", params={**query, "outcome": "x", **cursor})
        assert refused.json()["error"]["code"] == "invalid_cursor"
