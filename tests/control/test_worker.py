"""The worker on a real queue: clips, summaries, retries, jobs that are held, and the sweep."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from control.app import build_worker
from control.calls import carriersteps, ending, present, reports
from control.calls import jobs as after
from control.calls.carriersteps import StepContext
from control.clients.openai import ModelError, ModelUsage, Transcript, WrittenAnswer
from control.clients.twilio import Lookup
from control.contacts import usecases as contact_usecases
from control.feature import ExternalClients
from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from control.livecall import turns as livecall_turns
from control.voicemail.usecases import Mailboxes
from control.worker import Worker
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.settings import ControlSettings
from hum.v1 import calls_pb2, flows_pb2, runtime_pb2
from storage import call_records, calls, clips, events, identity, recordings
from storage import jobs as queue
from storage.analytics import READER
from storage.calls import NewCall, TurnRow
from storage.db import Db
from tests.control.conftest import FakeCarrier, Silent
from tests.control.places import call_admission
from tests.support.waits import patience


@dataclass
class FakeModel:
    """Speaks and writes as configured, and fails as often as configured."""

    said: list[tuple[str, str]] = field(default_factory=list)
    speech_model: str = "gpt-4o-mini-tts"
    read: list[str] = field(default_factory=list)
    failures: int = 0
    outcome: Any = None
    #: (audio, language) of each transcription, and what it hears.
    listened: list[tuple[bytes, str | None]] = field(default_factory=list)
    hears: str = "Please call me back."
    #: How many transcriptions fail.
    deaf: int = 0

    async def synthesize(self, voice: str, text: str) -> bytes:
        self._fail()
        self.said.append((voice, text))
        return b"\x7f" * 800

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
        self._fail()
        self.read.append(text)
        written: dict[str, Any] = {"text": "A call.", "key_points": ["p"], "next_actions": [], "label": "Call Back"}
        answer = written | ({"outcome": self.outcome} if "outcome" in schema["properties"] else {})
        return WrittenAnswer(answer, ModelUsage("gpt-5.4-mini", text_in=100, text_out=10))

    async def transcribe(self, wav: bytes, language: str | None) -> Transcript:
        if self.deaf:
            self.deaf -= 1
            raise ModelError("not now")
        self.listened.append((wav, language))
        return Transcript(self.hears, ModelUsage("gpt-4o-transcribe", audio_in=50, text_out=5))

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ModelError("not now")


@dataclass
class FakeLookups:
    """A directory that knows one name, and counts its lookups."""

    answer: Lookup | None = field(default_factory=lambda: Lookup("ACME INC", "Wireless", "mobile"))
    asked: list[str] = field(default_factory=list)
    fail: Exception | None = None

    async def look_up(self, e164: str) -> Lookup | None:
        self.asked.append(e164)
        if self.fail:
            raise self.fail
        return self.answer


@dataclass
class World:
    db: Db
    org: UUID
    model: FakeModel
    settings: ControlSettings
    lookups: FakeLookups = field(default_factory=FakeLookups)

    @property
    def principal(self) -> Principal:
        return Principal(self.org, "admin", (), None, None, None, "test")

    async def flow(self, **fields: Any) -> UUID:
        async with self.db.tenant(self.org) as tx:
            return (
                await flow_usecases.create(
                    tx, self.principal, flows_pb2.Flow(name="F", **fields), Choices.of(self.settings)
                )
            ).id

    async def ended_call(self, *turns: tuple[str, str], flow: UUID | None = None) -> UUID:
        id, sid = ids.new(), f"CA{ids.new().hex}"
        async with self.db.system() as tx:
            await calls.create(
                tx,
                NewCall(
                    id,
                    self.org,
                    sid,
                    "inbound",
                    "in_progress",
                    "+13175550199",
                    "+13175550100",
                    None,
                    flow,
                    1 if flow else None,
                    None,
                ),
            )
            for seq, (role, text) in enumerate(turns, 1):
                await calls.add_turn(
                    tx, self.org, id, TurnRow(seq, role, text, None, seq * 1000, seq * 1000 + 500, False)
                )
            await ending.end_call(tx, await calls.lock(tx, id), "completed", now(), "caller")
        return id

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A running worker."""
        stop = asyncio.Event()
        clients = ExternalClients(FakeCarrier(), self.lookups, self.model, self.model, self.model, Silent())
        async with build_worker(self.settings, self.db.url, clients) as worker:
            task = asyncio.create_task(worker.run(stop))
            yield
            stop.set()
            await task

    async def until(self, query: str, *values: Any, is_true: Callable[[Any], bool] = bool) -> Any:
        async with patience():
            while True:
                async with self.db.system() as tx:
                    if is_true(found := await tx.fetchval(query, *values)):
                        return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    settings = ControlSettings(
        home=tmp_path,
        worker_idle_seconds=0.05,
        job_retry_seconds=0.02,
        job_attempts=3,
        job_heartbeat_seconds=0.6,
        sweep_seconds=0.2,
    )
    db, org = await Db.open(database_url, size=6), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    yield World(db, org, FakeModel(), settings)
    await db.close()


async def test_clips_are_rendered_once_for_each_voice_and_text(world: World) -> None:
    async with world.working():
        await world.flow(greeting="Hello there", announce_recording=True, voice="cedar")
        await world.until("SELECT count(*) FROM clips", is_true=lambda n: n == 8)
        await world.flow(greeting="Hello there", voice="cedar")
        await world.flow(greeting="Hello there", voice="cedar", filler_phrases=["Let me see.", "One second."])
        await world.until(
            "SELECT count(*) FROM clips", is_true=lambda n: n == 10
        )  # the queue is empty between jobs too
        await world.until("SELECT count(*) FROM pgqueuer", is_true=lambda n: n == 0)
    assert world.model.said[1] == ("cedar", "Hello there"), "after the announcement: in the order of a call"
    assert {("cedar", "Let me see."), ("cedar", "One second.")} <= set(world.model.said)
    assert len(world.model.said) == len(set(world.model.said)) == 10
    async with world.db.tenant(world.org) as tx:
        found = await clips.find(tx, [clips.clip_hash("cedar", "Hello there"), clips.clip_hash("marin", "Hello there")])
    assert list(found.values()) == [b"\x7f" * 800]


async def test_a_call_is_summarized_judged_and_findable(world: World) -> None:
    schema = {"type": "object", "properties": {"booked": {"type": "boolean"}}, "required": ["booked"]}
    flow = await world.flow(outcome_schema_json=json.dumps(schema))
    world.model.outcome = {"booked": True}
    async with world.working():
        id = await world.ended_call(("agent", "Hi"), ("caller", "I need a plumber"), flow=flow)
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")
    async with world.db.tenant(world.org) as tx:
        row = await call_records.detail(tx, id)
        assert row.summary == {"text": "A call.", "key_points": ["p"], "next_actions": []}
        assert (row.outcome, row.call.outcome_label) == ('{"booked": true}', "call_back")
        query, everything = call_records.Query("plumber"), call_records.Filter()
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


async def test_a_job_is_tried_again_and_then_held(world: World) -> None:
    world.model.failures = 2
    async with world.working():
        await world.ended_call(("caller", "one"))
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")
        world.model.failures = 99
        await world.ended_call(("caller", "two"))
        await world.until(
            "SELECT count(*) FROM pgqueuer WHERE status = 'failed' AND entrypoint = 'after_call'",
            is_true=lambda n: n == 1,
        )
        await measured("hum_jobs_held", lambda jobs: jobs == 1)
    assert world.model.failures == 99 - 3, "the model was asked three times"


async def test_what_waits_is_measured_until_it_is_done(world: World) -> None:
    """A job of an hour ago waits for its organization's others, and an event of an hour ago for a reader."""
    reader = {"reader": READER}
    async with world.working():
        await world.until("SELECT count(*) FROM event_cursors WHERE reader = $1", READER)
    await world.ended_call(("caller", "one"))
    async with world.db.system() as tx:
        await tx.execute(
            "UPDATE pgqueuer SET created = now() - interval '1 hour', execute_after = now() - interval '1 hour'"
        )
        await tx.execute("UPDATE events SET created_at = now() - interval '1 hour'")
        assert 3600 <= await queue.waiting_seconds(tx) < 3700
        assert 3600 <= await events.lag_seconds(tx, READER) < 3700
    async with world.working():
        await measured("hum_jobs_waiting_seconds", lambda seconds: seconds == 0)
        await measured("hum_reader_lag_seconds", lambda seconds: seconds == 0, **reader)
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")


async def test_the_database_and_its_clock_are_measured(world: World) -> None:
    async with world.working():
        await measured("hum_database_standbys", lambda standbys: standbys == 0)
        await measured("hum_clock_offset_seconds", lambda seconds: seconds is not None and abs(seconds) < 1)


async def measured(metric: str, is_true: Callable[[float | None], bool], **labels: str) -> None:
    """Wait for what the worker measures."""
    async with patience():
        while not is_true(REGISTRY.get_sample_value(metric, labels)):
            await asyncio.sleep(0.02)


async def test_a_job_that_kills_its_workers_does_not_come_back_for_ever(world: World) -> None:
    await world.ended_call(("caller", "boom"))
    async with world.db.system() as tx:
        job = await tx.fetchval("SELECT id FROM pgqueuer")
        await tx.execute("INSERT INTO job_attempts (job_id, attempts) VALUES ($1, 3)", job)
    async with world.working():
        await world.until("SELECT count(*) FROM pgqueuer WHERE status = 'failed'", is_true=lambda n: n == 1)
    assert world.model.read == []


async def test_the_sweep_closes_what_nobody_reported(world: World) -> None:
    id = ids.new()
    async with world.db.system() as tx:
        await calls.create(
            tx, NewCall(id, world.org, "CAlost", "inbound", "in_progress", "+1", "+2", None, None, None, None)
        )
        await tx.execute("UPDATE calls SET streams_opened = 1, answered_at = now()")
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


async def test_a_late_report_does_not_open_a_closed_call(world: World) -> None:
    id = await world.ended_call(("caller", "bye"))
    async with world.db.system() as tx:
        await tx.execute(
            "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, 1, 'MZ', 'm')",
            world.org,
            id,
        )
    started = runtime_pb2.Report(
        call_id=ids.show(ids.Kind.CALL, id), seq=1, stream_number=1, started=runtime_pb2.StreamStarted(stream_sid="MZ")
    )
    ended = runtime_pb2.Report(
        call_id=started.call_id, seq=2, stream_number=1, ended=runtime_pb2.StreamEnded(reason="model_lost")
    )
    for report in (started, ended):
        report.at.FromDatetime(now())
    await reports.apply_batch(world.db, "m", runtime_pb2.ReportBatch(seq=1, reports=[started, ended]))
    async with world.db.tenant(world.org) as tx:
        row = (await call_records.detail(tx, id)).call
    assert (row.status, row.end_reason) == ("completed", "caller")


@pytest.mark.parametrize("said", [(), (("caller", "I need a plumber"),)])
async def test_what_is_reported_after_a_call_was_closed_as_lost_counts(
    world: World, said: tuple[tuple[str, str], ...]
) -> None:
    """It is found, counted once, and summarized, anew if it was when it was closed; a repeated report changes nothing."""
    async with world.working():
        id = await world.ended_call(*said)
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
        counted = "SELECT sum(calls) = 1 AND sum(interruptions) = 1 FROM call_rollups"
        await world.until(
            f"SELECT ({counted}) AND (SELECT sum(turns) = 1 FROM latency_rollups WHERE measure = 'first_sound_ms')"
        )
        await world.until("SELECT summary IS NOT NULL FROM calls")
        await world.until("SELECT count(*) FROM pgqueuer", is_true=lambda n: n == 0)
    async with world.db.tenant(world.org) as tx:
        query, everything = call_records.Query("burst"), call_records.Filter()
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


async def test_a_caller_is_looked_up_by_the_worker(world: World) -> None:
    flow = await world.flow()
    async with world.db.system() as tx:
        await tx.execute(
            """INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities, flow_id)
               VALUES ($1, $2, '+13175550100', 'PN1', '{voice}', $3)""",
            ids.new(),
            world.org,
            flow,
        )
    asked = runtime_pb2.RouteCallRequest(call_sid="CA1", from_e164="+13175550199", to_e164="+13175550100")
    mailboxes = Mailboxes(Choices.of(world.settings))
    step = await carriersteps.route_inbound(
        world.db, StepContext(call_admission(world.db), mailboxes, 20), asked, timedelta(days=30)
    )
    assert (step.WhichOneof("step"), world.lookups.asked) == ("connect", []), "the call does not wait for it"
    async with world.working():
        assert await world.until("SELECT name FROM contacts") == "ACME INC"
        # ... and a backfill that is begun is done, without asking again.
        async with world.db.tenant(world.org) as tx:
            await contact_usecases.begin_backfill(tx, world.principal, lookup=True)
        await world.until("SELECT ended_at FROM contact_backfills")
    assert world.lookups.asked == ["+13175550199"]


async def test_a_sweep_that_always_fails_takes_nothing_else_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    async def fails(self: Worker) -> None:
        attempts.append(now())
        raise RuntimeError("a bug")

    monkeypatch.setattr(Worker, "_sweep_jobs", fails)
    world.settings = world.settings.model_copy(update={"sweep_seconds": 0.01, "step_retry_seconds": 0.04})
    async with world.working():
        async with patience():
            while len(attempts) < 30:
                await asyncio.sleep(0.02)
        await world.ended_call(("caller", "one"))
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")


async def test_a_queue_that_breaks_again_and_again_is_begun_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run, failures = Worker._run_queue, [RuntimeError("a bug") for _ in range(12)]

    async def breaks(self: Worker) -> None:
        if failures:
            raise failures.pop()
        await run(self)

    monkeypatch.setattr(Worker, "_run_queue", breaks)
    update = {"database_retry_seconds": 0.01, "step_retry_seconds": 0.04}
    world.settings = world.settings.model_copy(update=update)
    async with world.working():
        await world.ended_call(("caller", "one"))
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")
    assert not failures


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


async def test_the_log_of_jobs_is_kept_for_a_week_and_of_held_ones_for_as_long_as_they_are(world: World) -> None:
    world.model.failures = 99
    async with world.working():
        await world.ended_call(("caller", "one"))
        await world.until("SELECT count(*) FROM pgqueuer WHERE status = 'failed'")
        world.model.failures = 0
        await world.ended_call(("caller", "two"))
        await world.until("SELECT count(*) FROM calls WHERE summary IS NOT NULL")
        await world.until("SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'")
        async with world.db.system() as tx:
            held = await tx.fetchval("SELECT id FROM pgqueuer WHERE status = 'failed'")
            await tx.execute("UPDATE pgqueuer_log SET created = now() - interval '8 days'")
        await world.until(
            "SELECT count(*) FROM pgqueuer_log WHERE job_id <> $1 AND created < now() - interval '7 days'",
            held,
            is_true=lambda n: n == 0,
        )
        assert await world.until("SELECT count(*) FROM pgqueuer_log WHERE job_id = $1 AND status = 'failed'", held) == 1
