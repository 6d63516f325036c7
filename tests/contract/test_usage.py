"""`GET /api/usage`: by day in the organization's time zone, by flow and by number; each organization's own."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from control import readers
from control.feature import Reader
from control.usage import meters, pricetable, usecases
from control.usage.pricetable import Prices
from hum import ids
from hum.ids import Kind
from storage import billing, contacts, events, studio, usage
from storage.events import ReaderStart
from storage.usage import Owner, Usage
from tests.contract import test_text_webhooks as text_webhooks
from tests.contract.conftest import Edge
from tests.support.cases import in_turn

PRICES = Prices(pricetable.read('[[prices]]\nof = "US"\nfrom = 2026-01-01\ncurrency = "USD"\nsegments_sent = "0.01"\n'))


async def use(
    edge: Edge, org: UUID, at: datetime, segments: int, number: UUID | None = None, subject: UUID | None = None
) -> None:
    owner = Owner(org, subject or ids.new(), None, number)
    async with edge.plane.control.db.system() as tx:
        used = [Usage("", meters.MESSAGES_SENT, "", 1), Usage("attempt 1", meters.SEGMENTS_SENT, "US", segments)]
        await usage.upsert(tx, owner, [*used, Usage("", meters.TEXT_IN, "new-model", 7)], at)
        event = events.Event(1, "1", org, "usage.recorded", owner.subject_id, None, at, ids.new())
        await usecases.count(tx, PRICES, [event])


def days(answer: dict[str, Any]) -> dict[str, int]:
    return {
        each["date"]: each["figures"]["messages_sent"] for each in answer["groups"] if each["figures"]["messages_sent"]
    }


async def test_usage_is_told_by_day_flow_and_number(edge: Edge) -> None:
    http, other = await edge.client("Clinic"), await edge.client("Stranger")
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    await http.patch("/api/organization", json={"time_zone": "America/New_York"})
    number = ids.new()
    # New York leaves EST on 8 March 2026: that day has 23 hours, from 05:00Z to 04:00Z.
    for moment, segments in (("04:59", 1), ("05:00", 2), ("23:59", 3)):
        await use(edge, org, datetime.fromisoformat(f"2026-03-08T{moment}:00Z"), segments, number)
    await use(edge, org, datetime(2026, 3, 9, 3, 59, tzinfo=UTC), 4)
    await use(edge, org, datetime(2026, 3, 9, 4, 0, tzinfo=UTC), 5)
    answer = (await http.get("/api/usage?from=2026-03-07&to=2026-03-09")).raise_for_status().json()
    assert answer["time_zone"] == "America/New_York"
    assert days(answer) == {"2026-03-07": 1, "2026-03-08": 3, "2026-03-09": 1}
    whole = answer["totals"]
    assert (whole["messages_sent"], whole["usage"]["costs"]) == (5, [{"currency": "USD", "amount": "0.15"}])
    assert whole["usage"]["is_priced"] is False
    assert whole["usage"]["lines"] == [
        {
            "meter": "segments_sent",
            "item": "US",
            "quantity": 15,
            "basis": "estimate",
            "cost": {"currency": "USD", "amount": "0.15"},
        },
        {"meter": "text_tokens_in", "item": "new-model", "quantity": 35, "basis": "none", "cost": None},
    ]
    by_number = (await http.get("/api/usage?from=2026-03-07&to=2026-03-09&group_by=number")).json()["groups"]
    assert [(each["number_id"], each["figures"]["messages_sent"]) for each in by_number] == [
        (ids.show(Kind.NUMBER, number), 3),
        (None, 2),
    ]
    by_flow = (await http.get("/api/usage?from=2026-03-07&to=2026-03-09&group_by=flow")).json()["groups"]
    assert [each["flow_id"] for each in by_flow] == [None]
    strangers = (await other.get("/api/usage?from=2026-03-07&to=2026-03-09")).json()
    assert strangers["totals"]["messages_sent"] == 0 and strangers["totals"]["usage"]["lines"] == []
    async with edge.plane.control.db.system() as tx:
        sent = await billing.count_messages(
            tx, org, datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 8, 6, tzinfo=UTC)
        )
    assert sent == 1


async def test_received_texts_are_counted(edge: Edge) -> None:
    http = await text_webhooks.set_up(edge)
    prices = Prices(
        pricetable.read('[[prices]]\nof = "US"\nfrom = 2026-01-01\ncurrency = "USD"\nsegments_received = "0.0083"\n')
    )
    reader = Reader(
        usage.READER,
        ReaderStart.BEGINNING,
        usecases.CHANGES,
        lambda tx, changed: usecases.count(tx, prices, changed),
        1.0,
    )
    # One alone, and several in a batch.
    await text_webhooks.post(edge, text_webhooks.TEXT)
    more = [{**text_webhooks.TEXT, "MessageSid": f"SM{n}", "Body": "x" * 161} for n in range(2, 8)]
    await asyncio.gather(*(text_webhooks.post(edge, form) for form in more))
    await readers.read(edge.plane.control.db, reader)
    answer = (await http.get("/api/usage")).raise_for_status().json()["totals"]
    assert answer["messages_received"] == 7
    (line,) = answer["usage"]["lines"]
    assert (line["meter"], line["item"], line["quantity"], line["cost"]) == (
        "segments_received", "US", 13, {"currency": "USD", "amount": "0.1079"},
    )  # fmt: skip
    (told,) = (await http.get("/api/usage?group_by=number")).json()["groups"]
    assert told["figures"] == answer


async def test_what_is_limited_by_day_is_told_as_it_is_counted(edge: Edge) -> None:
    http, other = await edge.client("Clinic"), await edge.client("Stranger")
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    today = datetime.now(UTC).date()
    async with edge.plane.control.db.tenant(org) as tx:
        # What is refused counts no more than what is allowed.
        assert [await studio.count_use(tx, "clip", today, 2) for _ in range(3)] == [True, True, False]
        assert [await contacts.count_lookup(tx, org, 1) for _ in range(2)] == [True, False]
        # Yesterday's are another day's.
        assert await studio.count_use(tx, "preview", today - timedelta(days=1), 9)
    settings = edge.plane.settings
    limits = {
        "lookups": settings.lookups_per_day,
        "clips": settings.clips_per_day,
        "trials": settings.studio_trials_per_day,
        "proposals": settings.studio_proposals_per_day,
        "previews": settings.studio_previews_per_day,
    }
    for client, used in ((http, {"lookups": 1, "clips": 2}), (other, dict[str, int]())):
        quotas = (await client.get("/api/usage")).raise_for_status().json()["quotas"]
        assert quotas == [{"kind": k, "used": used.get(k, 0), "limit": limit} for k, limit in limits.items()]


async def test_what_a_text_used_is_told_with_it(edge: Edge) -> None:
    http = await edge.client("Clinic")
    org = ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
    number = (await http.post("/api/numbers", json={"e164": "+13175550100"})).json()["id"]
    await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})
    wish = {"twilio_number_id": number, "contact_e164": "+13175550157"}
    path = f"/api/sms/conversations/{(await http.post('/api/sms/conversations', json=wish)).json()['id']}/messages"
    sent = [(await http.post(path, json={"body": body})).json()["id"] for body in ("Hello", "Once more")]
    await use(edge, org, datetime.now(UTC), 3, subject=ids.require(Kind.MESSAGE, sent[0]))
    shown = {each["id"]: each["usage"] for each in (await http.get(path)).json()["messages"]}
    assert shown[sent[1]] is None, "nothing is known of it yet"
    assert shown[sent[0]]["costs"] == [{"currency": "USD", "amount": "0.03"}]
    quantities = {each["meter"]: (each["item"], each["quantity"]) for each in shown[sent[0]]["lines"]}
    assert quantities == {"segments_sent": ("US", 3), "text_tokens_in": ("new-model", 7)}


@in_turn(
    ("query", "field"),
    [("from=2024-01-01&to=2026-01-01", "from"), ("from=2026-02-02&to=2026-02-01", "from"), ("group_by=moon", "group_by"),
     ("from=yesterday", "from")],
)  # fmt: skip
async def test_a_span_is_bounded(edge: Edge, query: str, field: str) -> None:
    http = await edge.client("Clinic")
    answer = await http.get(f"/api/usage?{query}")
    assert answer.status_code == 400 and field in answer.text, answer.text


async def test_a_key_needs_the_scope(edge: Edge) -> None:
    http = await edge.client("Clinic", "viewer", scopes=("calls:read",))
    assert (await http.get("/api/usage")).status_code == 403
