"""Which events start which agents, and how loops end."""

import asyncio
from uuid import UUID

from control.eventagents import eventmatching
from hum import ids
from hum.clock import now
from hum.v1 import events_pb2
from storage import event_runs, events, flows, identity
from storage.event_runs import NewEventRun
from tests.control.eventagents.conftest import LIMITS, Floor


async def test_an_event_starts_the_flows_that_name_its_type(floor: Floor) -> None:
    one, other = await floor.flow("external.paid", "call.completed"), await floor.flow("external.*")
    await floor.flow("sms.received")
    await floor.flow("external.paid", trigger_type="TRIGGER_TYPE_MESSAGE")
    gone = await floor.flow("external.paid")
    async with floor.db.tenant(floor.org) as tx:
        await flows.delete(tx, gone)
    event = await floor.happen()
    await floor.happen(name="external.refunded")
    async with floor.db.tenant(floor.org) as tx:  # no type that customers see
        await events.append(tx, floor.org, ids.new(), events_pb2.FlowDeletedEvent(by="x"))
    assert await floor.take() == [None, None, None]
    runs = await floor.all_runs()
    assert {(run["flow_id"], run["event_type"]) for run in runs} == {
        (one, "external.paid"),
        (other, "external.paid"),
        (other, "external.refunded"),
    }
    assert [run["event_id"] for run in runs].count(event) == 2
    jobs = await _system(floor, "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", eventmatching.RUN.name)
    assert jobs == 3


async def test_another_organizations_event_starts_nothing(floor: Floor) -> None:
    stranger = ids.new()
    async with floor.db.system() as tx:
        await identity.create_organization(tx, stranger, "Stranger")
    await floor.flow("external.paid")
    await floor.happen(org=stranger)
    assert await floor.take() == [] and await floor.all_runs() == []


async def test_an_event_that_is_read_again_starts_nothing_again(floor: Floor) -> None:
    await floor.flow("external.paid")
    await floor.happen()
    assert await floor.take() == [None]
    async with floor.db.system() as tx:  # as if the reader were set back by a restored backup
        await tx.execute("DELETE FROM event_cursors")
    assert await floor.take() == []
    assert len(await floor.all_runs()) == len(floor.model.asked) == 1


async def test_a_corrected_summary_starts_nothing_again(floor: Floor) -> None:
    await floor.flow("call.summary", "call.outcome")
    for is_correction in (False, True):
        async with floor.db.tenant(floor.org) as tx:
            call = ids.new()
            summary = events_pb2.CallSummaryEvent(call_id="call_1", text="Ada asks.", correction=is_correction)
            outcome = events_pb2.CallOutcomeEvent(call_id="call_1", outcome_json="{}", correction=is_correction)
            await events.append(tx, floor.org, call, summary)
            await events.append(tx, floor.org, call, outcome)
        assert await floor.take() == ([] if is_correction else [None, None])
    runs = await floor.rows("SELECT status, reason FROM event_runs ORDER BY status, reason")
    assert [tuple(run) for run in runs] == [("completed", None)] * 2 + [("skipped", "correction")] * 2


async def test_a_flood_of_events_is_no_flood_of_rows(floor: Floor) -> None:
    floor.limit(runs_per_flow=2)
    await floor.flow("external.paid")
    for n in range(eventmatching.SHOWN_SKIPS + 10):
        await floor.happen(f'{{"order": {n}}}')
        if n % 10 == 0:
            await floor.take()
    await floor.take()
    runs = await floor.rows("SELECT status, count(*) FROM event_runs GROUP BY 1 ORDER BY 1")
    assert [tuple(each) for each in runs] == [("completed", 2), ("skipped", eventmatching.SHOWN_SKIPS)]


async def test_a_flow_has_so_many_runs_in_a_window_and_the_others_are_recorded(floor: Floor) -> None:
    floor.limit(runs_per_flow=3)
    await floor.flow("external.paid")
    for n in range(5):
        await floor.happen(f'{{"order": {n}}}')
    assert await floor.take() == [None] * 3
    await floor.happen('{"order": 5}')
    assert await floor.take() == []
    runs = await floor.rows("SELECT status, reason FROM event_runs ORDER BY status")
    assert [tuple(run) for run in runs] == [("completed", None)] * 3 + [("skipped", "cap")] * 3
    await floor.rows("UPDATE event_runs SET created_at = created_at - interval '11 minutes' RETURNING id")
    await floor.happen('{"order": 6}')
    assert await floor.take() == [None]


async def test_an_organization_has_so_many_runs_in_a_day_whatever_its_flows(floor: Floor) -> None:
    floor.limit(runs_per_organization=3)
    stranger = ids.new()
    async with floor.db.system() as tx:
        await identity.create_organization(tx, stranger, "Stranger")
    for org in (floor.org, floor.org, stranger):
        await floor.flow("external.paid", org=org)
    for n in range(3):
        await floor.happen(f'{{"order": {n}}}')
    await floor.happen(org=stranger)
    assert await floor.take() == [None] * 3
    await floor.happen('{"order": 3}')
    assert await floor.take() == []
    runs = await floor.rows("SELECT status, reason FROM event_runs ORDER BY status")
    assert [tuple(run) for run in runs] == [("completed", None)] * 3 + [("skipped", "organization_cap")] * 5
    assert (
        await _system(floor, "SELECT count(*) FROM event_runs WHERE org_id = $1 AND status = 'waiting'", stranger) == 1
    )
    await floor.rows("UPDATE event_runs SET created_at = created_at - interval '25 hours' RETURNING id")
    await floor.happen('{"order": 4}')
    assert await floor.take() == [None] * 2


async def test_no_run_starts_its_own_flow_and_a_ring_of_flows_ends(floor: Floor) -> None:
    first = await floor.flow("external.paid", "agent.run_completed", name="First")
    second = await floor.flow("agent.run_completed", name="Second")
    await floor.happen()
    for _ in range(6):  # each round reads what the one before has caused
        await floor.take()
    runs = await floor.all_runs()
    assert [(run["flow_id"], run["depth"], run["status"], run["reason"]) for run in runs] == [
        (first, 0, "completed", None),
        (second, 1, "completed", None),
        (first, 2, "completed", None),
        (second, 3, "skipped", "depth"),
    ]
    assert [run["caused_by"] for run in runs] == [None, *[run["id"] for run in runs[:-1]]]


async def test_a_run_that_a_stranger_names_is_no_cause(floor: Floor) -> None:
    flow, stranger, theirs = await floor.flow("conversation.outcome"), ids.new(), ids.new()
    async with floor.db.system() as tx:
        await identity.create_organization(tx, stranger, "Stranger")
    other = await floor.flow("external.paid", org=stranger)
    async with floor.db.system() as tx:
        await event_runs.create(tx, [NewEventRun(theirs, stranger, other, ids.new(), "external.paid", 2, None, None)])
    await _report(floor, theirs)
    assert await floor.take() == [None]
    (run,) = await floor.all_runs()
    assert (run["flow_id"], run["depth"], run["caused_by"]) == (flow, 0, None)


async def test_of_two_readers_at_once_one_makes_the_runs(floor: Floor) -> None:
    await floor.flow("external.paid")
    for n in range(20):
        await floor.happen(f'{{"order": {n}}}')
    await asyncio.gather(floor.read(), floor.read(), floor.read())
    runs = await floor.all_runs()
    assert len(runs) == len({run["event_id"] for run in runs}) == 20


async def test_runs_go_with_their_events_payload(floor: Floor) -> None:
    await floor.flow("external.paid")
    await floor.flow("agent.run_completed")
    event = await floor.happen()
    kept = await floor.happen('{"order": 8}')
    for _ in range(2):
        await floor.take()
    assert len(await floor.all_runs()) == 4
    async with floor.db.tenant(floor.org) as tx:
        subject = await tx.fetchval("SELECT subject_id FROM events WHERE public_id = $1", event)
        await tx.fetchval("SELECT hum.empty_events($1)", [subject])
    runs = await floor.all_runs()
    assert len(runs) == 2 and {run["event_type"] for run in runs} == {"external.paid", "agent.run_completed"}
    assert kept in {run["event_id"] for run in runs}
    left = await floor.rows("SELECT data FROM events WHERE type = 'agent.run_completed' AND data IS NOT NULL")
    assert len(left) == 2, "those of the other event's runs"


def test_what_a_flow_listens_to() -> None:
    assert eventmatching.listens(["external.*"], "external.paid") and eventmatching.listens(
        ["sms.received"], "sms.received"
    )
    assert not eventmatching.listens([], "sms.received")
    assert not eventmatching.listens(["external.paid"], "external.paid_twice")
    assert eventmatching.skipped({"correction": False}, 0, 0, 0, LIMITS) is None
    assert (
        eventmatching.skipped(None, 3, 0, 0, LIMITS) == "depth" and eventmatching.skipped({}, 0, 60, 0, LIMITS) == "cap"
    )
    long = eventmatching.event_text("evt_1", "external.paid", now(), {"x": "y" * 10_000_000})
    assert len(long) < eventmatching.EVENT_CHARS + 100 and "cut here" in long
    assert eventmatching.storable("\0 a\ud800 ") == "a?" and eventmatching.storable(" ") is None


async def _report(floor: Floor, run: UUID) -> None:
    async with floor.db.tenant(floor.org) as tx:
        event = events_pb2.ConversationOutcomeEvent(run_id=ids.show(ids.Kind.RUN, run), outcome_json="{}")
        await events.append(tx, floor.org, ids.new(), event)


async def _system(floor: Floor, query: str, *values: object) -> object:
    async with floor.db.system() as tx:
        return await tx.fetchval(query, *values)
