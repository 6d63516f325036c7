"""What the worker makes of calls that are over: summaries, outcomes, and what is reported late."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from control.calls import carriersteps, ending, present, reports
from control.calls import jobs as after
from control.clients.openai import WrittenAnswer
from control.livecall import turns as livecall_turns
from hum import ids
from hum.clock import now
from hum.v1 import calls_pb2, runtime_pb2
from storage import call_records, calls, recordings
from storage.calls import NewCall, TurnRow
from tests.control.worker.conftest import FakeModel, World


async def test_a_call_is_summarized_judged_and_findable(world: World) -> None:
    booked = {"properties": {"booked": {"$ref": "#/$defs/answer"}}, "$defs": {"answer": {"type": "boolean"}}}
    schema = {"type": "object", **booked, "required": ["booked"]}
    flow = await world.flow(outcome_schema_json=json.dumps(schema))
    world.model.outcome = {"booked": True}
    async with world.working():
        id = await world.ended_call(("agent", "Hi"), ("caller", "I need a plumber"), flow=flow)
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")
    async with world.db.tenant(world.org) as tx:
        row = await call_records.detail(tx, id)
        assert row.summary == {"text": "A call.", "key_points": ["p"], "next_actions": []}
        assert (row.outcome, row.call.outcome_label) == ('{"booked": true}', "call_back")
        query, everything = call_records.Query("plumber"), call_records.CallFilter()
        assert [found.id for found in await call_records.search(tx, query, everything, None, 5)] == [id]
    assert world.model.read == ["agent: Hi\ncaller: I need a plumber"]


async def test_an_outcome_that_breaks_the_schema_is_left_out(world: World) -> None:
    flow = await world.flow(outcome_schema_json='{"type": "object", "required": ["booked"]}')
    world.model.outcome = {"nothing": 1}
    id = await world.ended_call(("caller", "Hello"), flow=flow)
    assert await after.after_call(world.db, world.model, world.org, id)
    async with world.db.tenant(world.org) as tx:
        row = await call_records.detail(tx, id)
    assert row.summary is not None
    assert row.outcome is None
    assert not await after.after_call(world.db, world.model, world.org, id), "once is enough"


async def test_half_of_a_character_in_a_models_outcome_is_replaced(world: World) -> None:
    flow = await world.flow(outcome_schema_json='{"type": "object", "required": ["name"]}')
    world.model.outcome = {"name": "Ana \ud83d"}
    id = await world.ended_call(("caller", "Hello"), flow=flow)
    assert await after.after_call(world.db, world.model, world.org, id)
    async with world.db.system() as tx:
        row = await call_records.detail(tx, id)
        data = await tx.fetchval("SELECT data::text FROM events WHERE type = 'call.outcome'")
    assert row.outcome == '{"name": "Ana ?"}' and "Ana ?" in data


async def test_of_two_workers_at_one_call_one_summarizes_it(world: World) -> None:
    schema = {"type": "object", "properties": {"booked": {"type": "boolean"}}}
    flow = await world.flow(outcome_schema_json=json.dumps(schema))
    world.model.outcome = {"booked": True}
    id = await world.ended_call(("caller", "Hello"), flow=flow)
    both = asyncio.Barrier(2)

    class Slow(FakeModel):
        async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
            await both.wait()  # each has seen that it is not summarized yet
            return await world.model.write(instructions, text, schema)

    done = await asyncio.gather(*(after.after_call(world.db, Slow(), world.org, id) for _ in range(2)))
    assert sorted(done) == [False, True]
    async with world.db.system() as tx:
        told = await tx.fetch("SELECT type, count(*) FROM events WHERE subject_id = $1 GROUP BY type ORDER BY type", id)
        used = await tx.fetchval(
            "SELECT quantity FROM usage_entries WHERE subject_id = $1 AND meter = 'text_tokens_in'", id
        )
    summed_up = [("call.completed", 1), ("call.outcome", 1), ("call.summary", 1)]
    assert [tuple(row) for row in told] == [*summed_up, ("usage.recorded", 2)]
    assert used == 200, "both have asked the model, and it charges for both"


async def test_an_outcome_that_the_agent_reports_late_is_contradicted_by_nobody(world: World) -> None:
    """The tool ran while the model wrote: the agent's word stays, and nobody is told another."""
    schema = {"type": "object", "properties": {"booked": {"type": "boolean"}}}
    flow = await world.flow(outcome_schema_json=json.dumps(schema))
    world.model.outcome = {"booked": False}
    id = await world.ended_call(("caller", "Hello"), flow=flow)

    class Overtaken(FakeModel):
        async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
            async with world.db.tenant(world.org) as tx:
                await call_records.set_outcome(tx, id, '{"booked": true}')
            return await world.model.write(instructions, text, schema)

    assert await after.after_call(world.db, Overtaken(), world.org, id)
    async with world.db.tenant(world.org) as tx:
        row = await call_records.detail(tx, id)
    assert row.summary is not None and json.loads(row.outcome or "") == {"booked": True}
    async with world.db.system() as tx:
        told = await tx.fetch("SELECT type FROM events WHERE subject_id = $1 AND type = 'call.outcome'", id)
    assert told == []


async def test_a_silent_call_costs_no_model(world: World) -> None:
    id = await world.ended_call(("agent", "Hello?"), ("caller", ""))
    assert await after.after_call(world.db, world.model, world.org, id)
    assert world.model.read == []


async def test_the_sweep_closes_what_nobody_reported(world: World) -> None:
    id = ids.new()
    async with world.db.system() as tx:
        await calls.create(
            tx, NewCall(id, world.org, "CAlost", "inbound", "in_progress", "+1", "+2", None, None, None, None)
        )
        await tx.execute("UPDATE calls SET streams_opened = 1, answered_at = now(), node = 'm'")
    await carriersteps.carrier_status(world.db, "CAlost", "+2", "completed")
    assert await ending.close_stale_calls(world.db, 30) == 0, "the media plane still has time"
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET carrier_ended_at = now() - $1::interval", timedelta(seconds=31))
    settings = world.settings.model_copy(update={"link_lost_seconds": 30.0})
    world.settings = settings
    async with world.working():
        await world.until("SELECT status = 'completed' FROM calls")
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT end_reason FROM calls") == "stream_lost"
        assert await tx.fetchval("SELECT count(*) FROM events WHERE type = 'call.completed'") == 1


@pytest.mark.parametrize(
    ("end", "streams", "reported", "true_end"),
    [
        (("completed", "caller"), 1, "model_lost", ("completed", "caller")),
        (("completed", "hang_up"), 1, "agent", ("completed", "hang_up")),
        (("failed", "stream_lost"), 1, "caller", ("completed", "caller")),
        (("completed", "stream_lost"), 1, "model_lost", ("failed", "model_lost")),
        (("failed", "stream_lost"), 1, "carrier_lost", ("failed", "stream_lost")),
        (("failed", "stream_lost"), 1, "transfer", ("failed", "stream_lost")),
        (("failed", "stream_lost"), 2, "agent", ("failed", "stream_lost")),
    ],
    ids=["the carrier knew", "a person knew", "hung up", "failed", "nothing new", "left", "not the last stream"],
)
async def test_a_late_report_does_not_open_a_closed_call(
    world: World, end: tuple[str, str], streams: int, reported: str, true_end: tuple[str, str]
) -> None:
    """It stays closed; the end that was assumed becomes the true one, once, for all who are told of it."""
    id = await world.ended_call(("caller", "bye"), end=end)
    async with world.db.system() as tx:
        await tx.execute(
            "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, 1, 'MZ', 'm')",
            world.org,
            id,
        )
        ended_at = await tx.fetchval("UPDATE calls SET streams_opened = $1 RETURNING ended_at", streams)

    async def report(seq: int, **fact: Any) -> None:
        made = runtime_pb2.Report(call_id=ids.show(ids.Kind.CALL, id), seq=seq, stream_number=1, **fact)
        made.at.FromDatetime(now())
        await reports.apply_batch(world.db, "m", runtime_pb2.ReportBatch(seq=seq, reports=[made]))

    await report(1, started=runtime_pb2.StreamStarted(stream_sid="MZ"))
    await report(2, ended=runtime_pb2.StreamEnded(reason=reported, detail="gone"))
    if true_end[1] != "stream_lost":
        await report(3, ended=runtime_pb2.StreamEnded(reason="idle"))
    async with world.db.tenant(world.org) as tx:
        row = (await call_records.detail(tx, id)).call
        told = await tx.fetch(
            "SELECT type, data FROM events WHERE subject_id = $1 AND type ~ 'call.(completed|corrected)' ORDER BY id",
            id,
        )
        detail = await tx.fetchval("SELECT end_detail FROM calls WHERE id = $1", id)
    assert (row.status, row.end_reason, row.ended_at) == (*true_end, ended_at)
    completed, *corrected = [(each["type"], json.loads(each["data"])) for each in told]
    assert (completed[0], completed[1]["status"], completed[1]["reason"]) == ("call.completed", *end)
    correction = {"call_id": ids.show(ids.Kind.CALL, id), "status": true_end[0], "reason": true_end[1]}
    assert corrected == ([("call.corrected", correction)] if true_end != end else [])
    assert detail == ("gone" if true_end != end else None)


async def test_a_corrected_end_is_counted_as_the_true_one(world: World) -> None:
    async with world.working():
        id = await world.ended_call(end=("failed", "stream_lost"))
        await world.until("SELECT sum(calls) FROM call_rollups WHERE status = 'failed'")
        async with world.db.system() as tx:
            stream = (
                "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, 1, 'MZ', 'm')"
            )
            await tx.execute(stream, world.org, id)
            await tx.execute("UPDATE calls SET streams_opened = 1")
        over = runtime_pb2.Report(call_id=ids.show(ids.Kind.CALL, id), seq=1, stream_number=1)
        over.ended.reason = "caller"
        over.at.FromDatetime(now())
        await reports.apply_batch(world.db, "m", runtime_pb2.ReportBatch(seq=1, reports=[over]))
        await world.until("SELECT sum(calls) = 1 AND every(status = 'completed') FROM call_rollups")


@pytest.mark.parametrize("said", [(), (("caller", "I need a plumber"),)])
async def test_what_is_reported_after_a_call_was_closed_as_lost_counts(
    world: World, said: tuple[tuple[str, str], ...]
) -> None:
    """It is found, counted once, and summarized, anew if it was when it was closed; a repeated report changes nothing."""
    async with world.working():
        id = await world.ended_call(*said, end=("failed", "stream_lost"))
        async with world.db.system() as tx:
            stream = (
                "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, 1, 'MZ', 'm')"
            )
            await tx.execute(stream, world.org, id)
            await tx.execute("UPDATE calls SET streams_opened = 1, node = 'm'")
        await world.until("SELECT sum(calls) FROM call_rollups")
        await world.until("SELECT count(*) FROM pgqueuer", is_true=lambda n: n == 0)
        facts: list[dict[str, Any]] = [
            {"turn": calls_pb2.Turn(seq=7, role=calls_pb2.SPEAKER_CALLER, text="A burst pipe", item_id="i")},
            {"interruption": calls_pb2.Interruption(at_ms=1)},
            {"latency": calls_pb2.TurnLatency(first_sound_ms=700)},
            {"ended": runtime_pb2.StreamEnded(reason="caller")},
        ]
        made = [
            runtime_pb2.Report(call_id=ids.show(ids.Kind.CALL, id), seq=seq, stream_number=1, **fact)
            for seq, fact in enumerate(facts, 1)
        ]
        for report in made:
            report.at.FromDatetime(now())
        for _ in range(2):  # over another link, too
            await reports.apply_batch(world.db, ids.new().hex, runtime_pb2.ReportBatch(seq=1, reports=made))
        counted = "SELECT sum(calls) = 1 AND sum(interruptions) = 1 AND every(status = 'completed') FROM call_rollups"
        await world.until(
            f"SELECT ({counted}) AND (SELECT sum(turns) = 1 FROM latency_rollups WHERE measure = 'first_sound_ms')"
        )
        await world.until("SELECT summary IS NOT NULL FROM calls")
        await world.until("SELECT count(*) FROM pgqueuer", is_true=lambda n: n == 0)
    async with world.db.tenant(world.org) as tx:
        query, everything = call_records.Query("burst"), call_records.CallFilter()
        assert [found.id for found in await call_records.search(tx, query, everything, None, 5)] == [id]
        kinds = [row["type"] for row in await tx.fetch("SELECT type FROM events WHERE subject_id = $1", id)]
    summaries = len(said) + 1
    assert (kinds.count("call.completed"), kinds.count("call.summary"), len(world.model.read)) == (
        1,
        summaries,
        summaries,
    )


async def late_turn(world: World, id: UUID, seq: int, text: str) -> None:
    async with world.db.tenant(world.org) as tx:
        await calls.lock(tx, id)
        turn = calls_pb2.Turn(seq=seq, role=calls_pb2.SPEAKER_CALLER, text=text, item_id=f"i{seq}")
        await livecall_turns.add(tx, world.org, id, turn, now())


@pytest.mark.parametrize("reported", [False, True])
async def test_turns_that_arrive_after_the_summary_change_it_and_its_outcome(world: World, reported: bool) -> None:
    """The outcome that the agent itself reported stays."""
    schema = {"type": "object", "properties": {"booked": {"type": "boolean"}}}
    flow = await world.flow(outcome_schema_json=json.dumps(schema))
    world.model.outcome = {"booked": False}
    id = await world.ended_call(("caller", "Is Monday free?"), flow=flow)
    if reported:
        async with world.db.tenant(world.org) as tx:
            await call_records.set_outcome(tx, id, '{"booked": false}')
    assert await after.after_call(world.db, world.model, world.org, id)
    world.model.outcome = {"booked": True}
    for seq, text in ((7, "Monday it is"), (8, "Thank you")):
        await late_turn(world, id, seq, text)
    assert await after.after_call(world.db, world.model, world.org, id)
    assert not await after.after_call(world.db, world.model, world.org, id), "once for both turns"
    assert world.model.read[1:] == ["caller: Is Monday free?\ncaller: Monday it is\ncaller: Thank you"]
    async with world.db.tenant(world.org) as tx:
        row = await call_records.detail(tx, id)
        rows = await tx.fetch("SELECT type, data ->> 'correction' AS correction FROM events WHERE subject_id = $1", id)
    assert json.loads(row.outcome or "") == {"booked": not reported}
    told = [(each["type"], each["correction"]) for each in rows if each["type"] in {"call.summary", "call.outcome"}]
    kinds = ("call.summary",) if reported else ("call.summary", "call.outcome")
    assert sorted(told) == sorted((kind, correction) for kind in kinds for correction in ("false", "true"))


async def test_a_summary_of_fewer_turns_replaces_none_of_more(world: World) -> None:
    """A worker read the call before the last turns arrived, and its model was slow."""
    id = await world.ended_call(("caller", "Hello"))

    class Overtaken(FakeModel):
        async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
            await late_turn(world, id, 7, "A burst pipe")
            assert await after.after_call(world.db, world.model, world.org, id)
            return await world.model.write(instructions, text, schema)

    assert not await after.after_call(world.db, Overtaken(), world.org, id)
    assert not await after.after_call(world.db, world.model, world.org, id)
    assert world.model.read == ["caller: Hello\ncaller: A burst pipe", "caller: Hello"]


def test_what_the_model_is_asked_for_is_a_schema() -> None:
    for outcome in (None, {"type": "object", "properties": {"a": {"enum": ["x"]}}}):
        Draft202012Validator.check_schema(after.schema(outcome))


def test_a_cut_turn_is_told_as_it_was_heard() -> None:
    turn = TurnRow(1, "agent", "We open at nine on Monday", "We open at", 0, 900, True)
    assert after.transcript([turn]) == "agent: We open at nine on Monday [interrupted; the caller heard: 'We open at']"


async def test_why_a_recording_is_missing_stands_in_the_record(world: World) -> None:
    id = await world.ended_call(("caller", "bye"))
    async with world.db.system() as tx:
        await tx.execute(
            "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, 1, 'MZ', 'm')",
            world.org,
            id,
        )

    async def report(seq: int, **fact: Any) -> tuple[list[str], str | None]:
        made = runtime_pb2.Report(call_id=ids.show(ids.Kind.CALL, id), seq=seq, stream_number=1, **fact)
        made.at.FromDatetime(now())
        await reports.apply_batch(world.db, "m", runtime_pb2.ReportBatch(seq=seq, reports=[made]))
        async with world.db.tenant(world.org) as tx:
            row, found = await call_records.detail(tx, id), await recordings.of_call(tx, id)
        assert present.detailed(row).recording_fault == (row.recording_fault or "")
        assert row.has_recording == bool(found)
        return [each.path for each in found], row.recording_fault

    begun = runtime_pb2.RecordingStarted(path="o/c.wav")
    assert await report(1, recording_started=begun) == (["o/c.wav"], None), "its process died; the call is over"
    none = runtime_pb2.RecordingStored(fault="No space left on device")
    assert await report(2, recording=none) == ([], "No space left on device")
    part = runtime_pb2.RecordingStored(path="o/c.2.wav", duration_ms=100, size_bytes=44, fault="File too large")
    assert await report(3, recording=part) == (["o/c.2.wav"], "File too large")
    assert await report(4, recording=none) == (["o/c.2.wav"], "No space left on device"), "what there is stays"
