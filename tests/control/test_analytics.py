"""Figures: equal to a recount, whatever the order of events, in the days of any time zone."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import readers
from control.analytics import percentiles, usecases
from control.base import days
from control.feature import Reader
from control.identity import usecases as identity
from hum import ids
from hum.contract.errors import InvalidRequest
from hum.ids import Kind
from hum.v1 import analytics_pb2 as pb
from hum.v1 import analytics_pb2_grpc, events_pb2, flows_pb2, flows_pb2_grpc
from storage import analytics, erasures, events, interruptions, latencies
from storage.analytics import AnalyticsSpan
from storage.db import Db
from storage.events import ReaderStart
from storage.interruptions import InterruptionRow
from storage.latencies import LatencyRow
from tests.control.conftest import Plane, bearer

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia")


# --- pure ---------------------------------------------------------------------------------------------------------


def test_today_is_where_one_is() -> None:
    late = datetime(2026, 3, 6, 3, 30, tzinfo=UTC)
    assert days.today(late, "America/New_York") == date(2026, 3, 5)
    assert days.today(late, "Asia/Tokyo") == date(2026, 3, 6)


MARCH = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("asked", "first", "count"),
    [
        ((), date(2026, 1, 31), 30),
        ((2,), date(2026, 2, 28), 2),
        ((None, date(2026, 2, 27)), date(2026, 2, 27), 3),
        ((2, date(2025, 12, 31)), date(2025, 12, 31), 2),
        ((None, None, date(2025, 1, 30)), date(2025, 1, 1), 30),
        ((1, None, date(2027, 1, 1)), date(2027, 1, 1), 1),
        ((None, date(2024, 2, 28), date(2024, 3, 1)), date(2024, 2, 28), 3),
    ],
)
def test_a_window_is_days_or_from_and_to(asked: tuple[Any, ...], first: date, count: int) -> None:
    assert days.window(MARCH, *asked) == [first + timedelta(days=ahead) for ahead in range(count)]


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        ((5, MARCH, MARCH), "days", "must be unset"),
        ((None, date(2026, 3, 2)), "first_day", "after the last day, 2026-03-01"),
        ((None, date(2026, 3, 2), MARCH), "first_day", "after the last day"),
        ((None, date(2025, 2, 28), MARCH), "first_day", "begins 367 days"),
        ((None, date(1, 1, 1)), "first_day", "is not a day from"),
        ((None, None, date(9999, 12, 31)), "last_day", "is not a day from"),
    ],
)
def test_what_is_no_window_says_why(asked: tuple[Any, ...], field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        days.window(MARCH, *asked)
    (problem,) = refused.value.fields
    assert problem.field == field and reason in problem.reason


@given(st.sampled_from(ZONES), st.dates(date(1995, 1, 1), date(2030, 1, 1)))
def test_midnight_is_a_days_first_instant(zone: str, day: date) -> None:
    first = days.midnight(day, zone)
    local = ZoneInfo(zone)
    if day == date(2011, 12, 30) and zone == "Pacific/Apia":
        return  # the day that Samoa skipped
    assert first.astimezone(local).date() == day
    assert (first - timedelta(seconds=1)).astimezone(local).date() < day


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_of_bands_is_near_the_true_one(waits: list[int], share: float) -> None:
    from math import ceil, floor, log

    bands = sorted(Counter(floor(log(wait) / log(analytics.BAND_RATIO)) for wait in waits).items())
    true = sorted(waits)[max(0, ceil(share * len(waits)) - 1)]
    found = percentiles.percentile(bands, share, analytics.BAND_RATIO)
    assert found is not None and abs(found - true) <= 0.06 * true + 1


def test_nothing_has_no_percentile() -> None:
    assert percentiles.percentile([], 0.5, 1.1) is None


# --- against a recount --------------------------------------------------------------------------------------------


class Office:
    """An organization whose calls are made here."""

    def __init__(self, db: Db, org: UUID, secret: str, flows: list[UUID]) -> None:
        self.db, self.org, self.secret, self.flows = db, org, secret, flows
        self.calls = dict[UUID, dict[str, Any]]()

    async def call(self, at: datetime, chance: random.Random) -> UUID:
        """A call that is over."""
        id = ids.new()
        answered = chance.random() < 0.8
        call: dict[str, Any] = {
            "created_at": at,
            "flow_id": chance.choice([*self.flows, None]),
            "direction": chance.choice(["inbound", "outbound"]),
            "status": "completed" if answered else chance.choice(["busy", "no_answer", "blocked"]),
            "answered_at": at + timedelta(seconds=1) if answered else None,
            "ended_at": at + timedelta(seconds=chance.randint(2, 500)),
            "interruptions": [{"at_ms": 1}] * chance.randint(0, 3),
            "latency": [
                {"turn_seq": n, **{name: chance.randint(50, 3000) for name in latencies.MEASURES}}
                for n in range(chance.randint(0, 3))
            ],
            "outcome_label": None,
            "transfers": chance.choice([[], [], ["no_answer"], ["busy", "completed"]]) if answered else [],
        }
        self.calls[id] = call
        async with self.db.system() as tx:
            await tx.execute(
                "INSERT INTO calls (id, org_id, from_e164, to_e164, created_at, flow_id, direction, status, answered_at,"
                " ended_at) VALUES ($1, $2, '+1', '+2', $3, $4, $5, $6, $7, $8)",
                id, self.org, *list(call.values())[:6],
            )  # fmt: skip
            for n, _ in enumerate(call["interruptions"]):
                row = InterruptionRow(1, n, 1, 0, 0, "cut", None, None, None, None, None)
                await interruptions.add(tx, self.org, id, row)
            for n, turn in enumerate(call["latency"]):
                await latencies.add(tx, self.org, id, LatencyRow(1, n, **turn))
            for state in call["transfers"]:
                await tx.execute(
                    "INSERT INTO transfers (org_id, id, call_id, to_e164, caller_id_e164, asked_by, summary, ring_seconds,"
                    " whispers, needs_key, unanswered, state, started_at, connected_at, ended_at)"
                    " VALUES ($1, $2, $3, '+3', '+2', 'agent', '', 20, false, false, 'agent', $4, $5, $6, $5)",
                    self.org, ids.new(), id, state, at, at if state == "completed" else None,
                )  # fmt: skip
            await events.append(tx, self.org, id, events_pb2.CallCompletedEvent())
        return id

    async def judge(self, id: UUID, outcome: str) -> None:
        self.calls[id]["outcome_label"] = outcome
        async with self.db.system() as tx:
            await tx.execute("UPDATE calls SET outcome_label = $2 WHERE id = $1", id, outcome)
            await events.append(tx, self.org, id, events_pb2.CallSummaryEvent())

    async def grouped(self, zone: str, flow: UUID | None = None) -> analytics.GroupedFigures:
        span = AnalyticsSpan(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), zone, flow)
        async with self.db.tenant(self.org) as tx:
            return await analytics.figures(tx, span)

    def recount(self, zone: str, flow: UUID | None = None) -> dict[str, Counter[Any]]:
        found: dict[str, Counter[Any]] = {
            name: Counter() for name in ("day", "hour", "flow", "outcome", "status", "total")
        }
        for call in self.calls.values():
            if flow is not None and call["flow_id"] != flow:
                continue
            local = call["created_at"].astimezone(ZoneInfo(zone))
            found["day"][local.date()] += 1
            found["hour"][local.weekday() * 24 + local.hour] += 1
            found["flow"][call["flow_id"] or UUID(int=0)] += 1
            found["outcome"][call["outcome_label"] or ""] += 1
            found["status"]["transfer_not_taken" if call["transfers"] == ["no_answer"] else call["status"]] += 1
            found["total"]["calls"] += 1
            found["total"]["interruptions"] += len(call["interruptions"])
            found["total"][call["direction"]] += 1
            if call["answered_at"]:
                found["total"]["answered"] += 1
                found["total"]["talk_seconds"] += int((call["ended_at"] - call["answered_at"]).total_seconds())
        return found


async def same(office: Office, zone: str, flow: UUID | None = None) -> None:
    grouped, recount = await office.grouped(zone, flow), office.recount(zone, flow)
    for name, groups in (
        ("day", grouped.by_day),
        ("hour", grouped.by_hour),
        ("flow", grouped.by_flow),
        ("outcome", grouped.by_outcome),
        ("status", grouped.by_status),
    ):
        assert {key: row.calls for key, row in groups.items()} == recount[name], name
    for name in ("calls", "inbound", "outbound", "answered", "talk_seconds", "interruptions"):
        assert getattr(grouped.total, name) == recount["total"][name], name


@pytest.fixture
async def office(plane: Plane) -> Office:
    db = plane.control.db
    org = await identity.create_organization(db, "Clinic", "a@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", ["*"])
    stub = flows_pb2_grpc.FlowsServiceStub(plane.channel)
    flows = []
    for name in ("desk", "night"):
        request = flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name=name))
        made = await stub.CreateFlow(request, metadata=bearer(secret))
        flows.append(ids.require(Kind.FLOW, made.flow.id))
    return Office(db, org, secret, flows)


async def count(office: Office) -> None:
    reader = Reader(
        analytics.READER, ReaderStart.BEGINNING, usecases.CHANGES, usecases.recount, 1.0, takes_emptied=True
    )
    while await readers.read(office.db, reader):
        pass


async def test_roll_ups_equal_a_recount(office: Office) -> None:
    chance = random.Random(7)
    # Across the daylight saving change of New York, in bursts that share quarters of an hour.
    starts = [datetime(2026, 3, 6, tzinfo=UTC) + timedelta(minutes=chance.randint(0, 4 * 24 * 60)) for _ in range(150)]
    made = [await office.call(at, chance) for at in starts]
    await count(office)
    for id in chance.sample(made, 60):  # judged later, some twice
        await office.judge(id, chance.choice(["booked", "callback"]))
    for at in starts[:30]:
        await office.call(at, chance)  # and more calls in the same quarters
    await count(office)
    for zone in ZONES[:5]:
        await same(office, zone)
    await same(office, "UTC", office.flows[0])
    async with office.db.system() as tx:
        before = await tx.fetch("SELECT * FROM call_rollups ORDER BY 1, 2, 3, 4, 5, 6")
        waits = await tx.fetch("SELECT * FROM latency_rollups ORDER BY 1, 2, 3, 4, 5")
    assert waits
    await usecases.rebuild(office.db)
    async with office.db.system() as tx:
        assert await tx.fetch("SELECT * FROM call_rollups ORDER BY 1, 2, 3, 4, 5, 6") == before
        assert await tx.fetch("SELECT * FROM latency_rollups ORDER BY 1, 2, 3, 4, 5") == waits


async def test_figures_stay_when_calls_are_deleted(office: Office) -> None:
    """Before or after they were counted, beside others in their quarter of an hour, and at a recount of everything."""
    chance = random.Random(11)
    starts = [datetime(2026, 3, 6, tzinfo=UTC) + timedelta(minutes=chance.randint(0, 600)) for _ in range(80)]
    made = [await office.call(at, chance) for at in starts[:60]]
    await count(office)
    made += [await office.call(at, chance) for at in starts[60:]]  # nobody has read of these
    for id in chance.sample(made, 20):
        await office.judge(id, "booked")
    doomed = chance.sample(made, 50)
    async with office.db.system() as tx:
        waits_before = await tx.fetchval("SELECT count(*) FROM call_turn_latencies")
    for ids_ in (doomed[:1], doomed[1:30], doomed[30:]):
        async with office.db.tenant(office.org) as tx:
            await erasures.erase(tx, ids_)
    await count(office)
    for at in starts[:10]:
        await office.call(at, chance)  # the quarters of deleted calls are recounted once more
    await count(office)
    for zone in ZONES[:2]:
        await same(office, zone)
    await same(office, "UTC", office.flows[0])
    async with office.db.system() as tx:
        before = await tx.fetch("SELECT * FROM call_rollups ORDER BY 1, 2, 3, 4, 5, 6")
        waits = await tx.fetch("SELECT * FROM latency_rollups ORDER BY 1, 2, 3, 4, 5")
        assert await tx.fetchval("SELECT sum(turns) FROM latency_rollups WHERE measure = 'ours_ms'") >= waits_before
    await usecases.rebuild(office.db)
    async with office.db.system() as tx:
        assert await tx.fetch("SELECT * FROM call_rollups ORDER BY 1, 2, 3, 4, 5, 6") == before
        assert await tx.fetch("SELECT * FROM latency_rollups ORDER BY 1, 2, 3, 4, 5") == waits


async def test_a_call_that_commits_late_is_counted(office: Office) -> None:
    chance, at = random.Random(1), datetime(2026, 5, 1, tzinfo=UTC)
    async with office.db.system() as late:
        id = ids.new()
        await late.execute(
            "INSERT INTO calls (id, org_id, from_e164, to_e164, direction, status, created_at, ended_at)"
            " VALUES ($1, $2, '+1', '+2', 'inbound', 'busy', $3, $3)", id, office.org, at,
        )  # fmt: skip
        await events.append(late, office.org, id, events_pb2.CallCompletedEvent())
        await office.call(at, chance)
        await count(office)
        assert (await office.grouped("UTC")).total.calls == 0  # the horizon waits for the transaction that commits late
    await count(office)
    assert (await office.grouped("UTC")).total.calls == 2


async def test_a_crash_while_counting_counts_nothing_twice(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    for n in range(10):
        await office.call(datetime(2026, 5, 1, n, tzinfo=UTC), chance)

    superuser = await asyncpg.connect(office.db.url)
    body = "BEGIN RAISE EXCEPTION 'in the middle' USING ERRCODE = 'query_canceled'; END"
    await superuser.execute(f"CREATE FUNCTION public.crash() RETURNS void LANGUAGE plpgsql AS $$ {body} $$")
    await superuser.close()
    counted = analytics.COUNT_LATENCIES
    monkeypatch.setattr(
        analytics,
        "COUNT_LATENCIES",
        "SELECT public.crash() FROM unnest($1::uuid[], $2::timestamptz[])",
    )
    with pytest.raises(readers.BatchError):
        await count(office)
    monkeypatch.setattr(analytics, "COUNT_LATENCIES", counted)
    await count(office)
    await count(office)
    await same(office, "UTC")


async def test_the_answer_has_every_day_and_ones_own_calls_only(plane: Plane, office: Office) -> None:
    chance, now = random.Random(3), datetime.now(UTC)
    for back in range(3):
        await office.call(now - timedelta(days=back, minutes=1), chance)
    await count(office)
    stub = analytics_pb2_grpc.AnalyticsServiceStub(plane.channel)
    mine = bearer(office.secret)
    answer = await stub.GetAnalytics(pb.GetAnalyticsRequest(days=10, time_zone="Asia/Tokyo"), metadata=mine)
    assert len(answer.days) == 10 and answer.time_zone == "Asia/Tokyo"
    assert sum(day.figures.calls for day in answer.days) == answer.totals.calls == 3
    assert [day.date for day in answer.days] == sorted(day.date for day in answer.days)
    assert sum(each.calls for each in answer.flows) == sum(each.calls for each in answer.statuses) == 3
    tokyo = [call["created_at"].astimezone(ZoneInfo("Asia/Tokyo")) for call in office.calls.values()]
    assert {(each.weekday, each.hour) for each in answer.hours} == {(at.isoweekday(), at.hour) for at in tokyo}
    assert sum(each.calls for each in answer.hours) == 3
    if any(call["latency"] for call in office.calls.values()):
        assert (
            answer.totals.first_sound_p50_ms > 0
            and answer.totals.first_sound_p95_ms >= answer.totals.first_sound_p50_ms
        )
    async with office.db.tenant(office.org) as tx:
        await tx.execute("INSERT INTO call_tags SELECT org_id, id, 'vip', created_at FROM calls")
    day = now.date().isoformat()
    only = await stub.GetAnalytics(pb.GetAnalyticsRequest(first_day=day, last_day=day), metadata=mine)
    assert [each.date for each in only.days] == [day] and only.days[0].figures == only.totals
    assert [(each.name, each.calls) for each in only.tags] == [("vip", only.totals.calls)]
    flow = ids.show(Kind.FLOW, office.flows[0])
    metrics = await stub.GetFlowMetrics(pb.GetFlowMetricsRequest(id=flow), metadata=mine)
    assert metrics.analytics.totals.calls == sum(call["flow_id"] == office.flows[0] for call in office.calls.values())
    texts = await stub.GetTextAnalytics(pb.GetTextAnalyticsRequest(days=10, time_zone="Asia/Tokyo"), metadata=mine)
    assert [each.date for each in texts.days] == [each.date for each in answer.days]
    assert texts.totals == pb.TextFigures() and not texts.senders and not texts.campaigns
    board = await stub.GetDashboard(pb.GetDashboardRequest(), metadata=mine)
    assert (board.week.calls, board.live_calls, board.flows, len(board.recent_calls)) == (3, 0, 2, 3)
    other = await stub.GetAnalytics(pb.GetAnalyticsRequest(), metadata=await plane.tenant("Other"))
    assert other.totals.calls == 0 and not other.flows


async def test_a_call_counts_in_each_of_its_tags(office: Office) -> None:
    chance, at = random.Random(5), datetime(2026, 3, 6, 12, tzinfo=UTC)
    made = [await office.call(at, chance) for _ in range(6)]
    outside = await office.call(at - timedelta(days=9), chance)
    async with office.db.tenant(office.org) as tx:
        for call, tag in ((made[0], "billing"), (made[1], "billing"), (made[1], "urgent"), (outside, "billing")):
            await tx.execute(
                "INSERT INTO call_tags SELECT org_id, id, $2, created_at FROM calls WHERE id = $1", call, tag
            )
        span = AnalyticsSpan(at - timedelta(days=1), at + timedelta(days=1), "UTC", None)
        tags = await analytics.tags(tx, span)
        one = await analytics.tags(tx, replace(span, flow=ids.new()))

    def answered(*calls: UUID) -> int:
        return sum(office.calls[call]["answered_at"] is not None for call in calls)

    found = {tag: (row.calls, row.answered) for tag, row in tags.items()}
    assert found == {"billing": (2, answered(*made[:2])), "urgent": (1, answered(made[1]))}
    assert list(tags) == ["billing", "urgent"] and one == {}
