"""What connectors are told: once, tried for a day, and each on its own."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from control.crm import connectorwire
from hum import ids
from hum.clock import now
from hum.v1 import events_pb2
from storage import contacts, conversations, crm_syncs, events, numbers
from storage.numbers import NumberRow
from tests.control.crm.conftest import ADA, CALLER, OURS, World, answers

LOOKUP, CONTACTS, CALLS, CONVERSATIONS = "/contacts/lookup", "/contacts", "/calls", "/conversations"
KNOWN, UNKNOWN = answers({"found": True, "contact": ADA}), answers({"found": False})


async def test_a_call_is_told_once_with_all_that_the_contract_says(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = KNOWN
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.work()
    (body,) = one.bodies(CALLS)
    began, ended = (datetime.fromisoformat(body.pop(name)) for name in ("started_at", "ended_at"))
    assert ended - began == timedelta(seconds=130) and began.tzinfo == UTC
    name = ids.show(ids.Kind.CALL, call)
    assert body == {
        "call_id": name,
        "contact_id": "4711",
        "direction": "inbound",
        "from": CALLER,
        "to": OURS,
        "duration_seconds": 130,
        "summary": "Ada asks for a visit.",
        "outcome": {"booked": True},
        "transcript_url": f"https://hum.example/api/calls/{name}",
    }
    async with world.db.tenant(world.org) as tx:  # the event comes again, and once more later
        for _ in range(2):
            await events.append(tx, world.org, call, events_pb2.CallCompletedEvent(call_id=name))
    await world.read()
    assert await world.work() == 0 and len(one.bodies(CALLS)) == 1
    assert await world.states() == [("call", "done")]
    assert [log.event for log in await world.logs(id)] == ["contact.lookup", "call.sync"]


async def test_a_call_waits_for_its_summary_unless_nobody_spoke(world: World) -> None:
    await world.crm()
    spoken, silent = await world.call(), await world.call()
    async with world.db.tenant(world.org) as tx:
        await tx.execute(
            "INSERT INTO call_turns (org_id, call_id, seq, role, text, start_ms, end_ms) VALUES ($1, $2, 1, 'caller', 'Hi', 0, 9)",
            world.org,
            spoken,
        )
    for call in (spoken, silent):
        await world.end(call, summary=None)
    await world.read()
    async with world.db.system() as tx:
        due = [row["call_id"] for row in await tx.fetch("SELECT call_id FROM crm_syncs WHERE due_at <= now()")]
        assert due == [silent]
    await world.summarize(spoken, "Hi.")
    await world.read()
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM crm_syncs WHERE due_at <= now()") == 2


async def test_a_summary_that_is_written_late_or_anew_is_told_as_another_delivery(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = KNOWN
    call = await world.call()
    await world.look_up(call)
    await world.end(call, summary=None)
    for said in (None, "Ada asks for a visit.", "Ada asks for a visit on Tuesday."):
        if said is not None:
            await world.summarize(call, said)
        await world.read()
        await world.work()
    assert [body["summary"] for body in one.bodies(CALLS)] == [
        None,
        "Ada asks for a visit.",
        "Ada asks for a visit on Tuesday.",
    ]
    assert len({body["call_id"] for body in one.bodies(CALLS)}) == 1 and len(set(one.deliveries(CALLS))) == 3
    assert await world.states() == [("call", "done")]
    await world.change(id, sync_calls=False)
    await world.summarize(call, "Ada asks for nothing.")
    await world.read()
    assert await world.work() == 0 and await world.states() == [("call", "done")]


async def test_an_attempt_that_read_the_call_before_its_new_summary_does_not_end_the_report(world: World) -> None:
    one, _ = await world.crm()
    one.paths[LOOKUP] = KNOWN
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()

    async def overtaken(request: web.Request) -> web.StreamResponse:
        one.paths[CALLS] = answers({})
        await world.summarize(call, "Ada asks for a visit on Tuesday.")
        await world.read()
        return await answers({})(request)

    one.paths[CALLS] = overtaken
    await world.work()
    assert [body["summary"] for body in one.bodies(CALLS)] == [
        "Ada asks for a visit.",
        "Ada asks for a visit on Tuesday.",
    ]
    assert await world.states() == [("call", "done")]


async def test_a_contact_that_is_not_known_is_created_once_and_the_call_names_it(world: World) -> None:
    one, id = await world.crm(create_contacts=True)
    one.paths |= {LOOKUP: UNKNOWN, CONTACTS: answers({"contact": {"id": 99}})}
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.work()
    assert one.bodies(CONTACTS) == [
        {"phone": CALLER, "contact": {"name": "CALLER ID", "email": None, "company": None, "attributes": {}}}
    ]
    assert [body["contact_id"] for body in one.bodies(CALLS)] == ["99"]
    again = await world.call()
    await world.look_up(again)  # the other system is slow to find what it has created
    await world.work()
    assert len(one.bodies(CONTACTS)) == 1
    assert [log.outcome for log in await world.logs(id)] == ["not_found", "ok", "ok", "not_found"]


async def test_whoever_was_not_asked_when_the_call_came_is_asked_when_it_is_over(world: World) -> None:
    one, _ = await world.crm()
    one.paths[LOOKUP] = KNOWN
    call = await world.call()
    await world.end(call)
    await world.read()
    await world.work()
    assert [path for path, _, _ in one.asked] == [LOOKUP, CALLS]
    assert one.bodies(CALLS)[0]["contact_id"] == "4711"
    assert (await world.contact()).said_by_crm == {}, "which connector is believed was not asked here"


async def test_what_is_not_taken_comes_again_as_the_same_delivery(world: World) -> None:
    one, _ = await world.crm(timeout_ms=300)
    one.paths |= {LOOKUP: UNKNOWN, CALLS: answers("", 429, **{"Retry-After": "120"})}
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.work(1)
    async with world.db.system() as tx:
        wait = await tx.fetchval("SELECT due_at - now() FROM crm_syncs")
    assert timedelta(seconds=100) < wait <= timedelta(seconds=120)
    one.paths[CALLS] = answers("", 201)
    await world.work(1)
    first, second = one.deliveries(CALLS)
    assert first == second and first.startswith("crmdel_") and await world.states() == [("call", "done")]


@pytest.mark.parametrize(
    ("status", "state"),
    [(400, "failed"), (422, "failed"), (409, "done"), (404, "pending"), (500, "pending"), (401, "pending")],
)
async def test_which_refusals_are_final(world: World, status: int, state: str) -> None:
    one, _ = await world.crm()
    one.paths |= {LOOKUP: UNKNOWN, CALLS: answers("", status)}
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.work(1)
    assert await world.states() == [("call", state)]


async def test_a_worker_that_dies_leaves_its_call_to_another(world: World) -> None:
    one, _ = await world.crm()
    one.paths[LOOKUP] = UNKNOWN
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.make_due()
    assert await world.syncing.enqueue_due() == 1
    ((_, id),) = await world._jobs()
    claim, lost_at = uuid4(), now() + connectorwire.JOB_LOST
    async with world.db.tenant(world.org) as tx:
        assert await crm_syncs.claim(tx, id, claim, lost_at) is not None
    await world.syncing.sync(world.org, id)  # the job is delivered twice
    assert not one.bodies(CALLS) and await world.syncing.enqueue_due() == 0
    await world.work()  # the first worker is gone for too long
    async with world.db.tenant(world.org) as tx:
        await crm_syncs.end(tx, id, claim, "failed")  # and wakes up
    assert len(one.bodies(CALLS)) == 1 and await world.states() == [("call", "done")]


async def test_a_connector_that_rests_or_is_off_holds_up_no_other_and_loses_nothing(world: World) -> None:
    (bad, bad_id), (good, _), (off, off_id) = [await world.crm() for _ in range(3)]
    for one in (bad, good, off):
        one.paths[LOOKUP] = UNKNOWN
    made = [await world.call() for _ in range(5)]
    for call in made:
        await world.look_up(call)
        await world.end(call)
    await world.read()
    bad.paths[CALLS] = answers("", 503)
    await world.change(off_id, enabled=False)
    await world.work()
    assert (len(good.bodies(CALLS)), len(off.bodies(CALLS))) == (5, 0)
    # Two at once were under way when it began to rest.
    assert len(bad.bodies(CALLS)) <= 4 and (await world.connector(bad_id)).rests_until is not None
    bad.paths[CALLS] = answers({})
    await world.change(off_id, enabled=True)
    await world.change(bad_id, base_url=f"{bad.url}/")  # the same: nothing is forgiven
    assert (await world.connector(bad_id)).failures
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET rests_until = now() - interval '1 s' WHERE rests_until IS NOT NULL")
    await world.work(10)
    told = [{body["call_id"] for body in one.bodies(CALLS)} for one in (bad, off)]
    assert [len(each) for each in told] == [5, 5] and {state for _, state in await world.states()} == {"done"}


async def test_after_a_day_it_is_given_up(world: World) -> None:
    one, _ = await world.crm()
    one.paths |= {LOOKUP: UNKNOWN, CALLS: answers("", 500)}
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_syncs SET created_at = now() - interval '23.9 h', attempts = 9")
    await world.work(1)
    assert await world.states() == [("call", "failed")]
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_syncs SET state = 'pending', created_at = now() - interval '25 h'")
        await tx.execute("UPDATE crm_connectors SET enabled = false")
    await world.syncing.prune()
    assert await world.states() == [("call", "failed")]


async def test_a_conversation_is_told_each_time_that_it_is_closed_if_the_connector_wants_that(world: World) -> None:
    (wants, _), (other, _) = await world.crm(sync_conversations=True), await world.crm()
    wants.paths[LOOKUP] = UNKNOWN
    number = ids.new()
    async with world.db.tenant(world.org) as tx:
        met = await contacts.find_or_create(tx, ids.new(), world.org, CALLER, None)
        row = NumberRow(number, OURS, "PN" + "0" * 32, None, None, None, True, ["sms"], "active", now(), None)
        await numbers.create(tx, row)
        thread, _ = await conversations.find_or_create(tx, ids.new(), world.org, number, OURS, CALLER, met.id)
    for _ in range(2):
        async with world.db.tenant(world.org) as tx:
            await events.append(tx, world.org, thread.id, events_pb2.ConversationClosedEvent(conversation_id="c"))
    await world.read()
    await world.work()
    found = wants.bodies(CONVERSATIONS)
    assert len(found) == 2 and not other.asked and len(set(wants.deliveries(CONVERSATIONS))) == 2
    fields: dict[str, Any] = found[0]
    assert (fields["number"], fields["contact"], fields["messages"], fields["contact_id"]) == (OURS, CALLER, 0, None)


async def test_logs_go_with_their_call_and_contact_and_with_time(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = KNOWN
    first, second = await world.call(), await world.call()
    for call in (first, second):
        await world.look_up(call)
    async with world.db.system() as tx:
        await tx.execute("DELETE FROM calls WHERE id = $1", first)
    assert [log.call_id for log in await world.logs(id)] == [second]
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_logs SET created_at = now() - interval '8 days'")
        await tx.execute("UPDATE organizations SET retention_days = 9")
    await world.syncing.prune()
    assert len(await world.logs(id)) == 1
    async with world.db.system() as tx:
        await tx.execute("UPDATE organizations SET retention_days = 7")
    await world.syncing.prune()
    assert await world.logs(id) == []


async def test_an_answer_that_never_comes_is_a_failure_of_that_attempt_alone(world: World) -> None:
    one, id = await world.crm()

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    one.paths |= {LOOKUP: UNKNOWN, CALLS: cut}
    call = await world.call()
    await world.look_up(call)
    await world.end(call)
    await world.read()
    await world.work(1)
    assert await world.states() == [("call", "pending")] and (await world.logs(id))[-1].reason == "protocol"
