"""The worker on a real queue: clips, look-ups, retries, jobs that are held, and sweeps."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from control.app import build_worker
from control.calls import carriersteps
from control.calls.carriersteps import StepContext
from control.clients.openai import OpenAI
from control.contacts import usecases as contact_usecases
from control.feature import ExternalClients
from control.flows.choices import Choices
from control.identity.usecases import issue_key
from control.livecall.commands import Commands
from control.voicemail.mailboxprompts import Mailboxes
from control.worker import Worker
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import runtime_pb2
from storage import browser_calls, calls, clips, events, identity
from storage import jobs as queue
from storage.analytics import READER
from tests.control.conftest import FakeCarrier, Silent
from tests.control.places import call_admission
from tests.control.worker.conftest import World
from tests.support.httpserver import answering
from tests.support.metrics import sample
from tests.support.waits import patience


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


#: What the model writes of a call, as its REST API answers.
SUMMARY = {"text": "They talked.", "key_points": [], "next_actions": [], "label": "resolved"}
WRITTEN: dict[str, Any] = {"type": "output_text", "text": json.dumps(SUMMARY), "annotations": []}
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 0,
    "model": "gpt-5.4-mini",
    "status": "completed",
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [WRITTEN]}],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "tools": [],
}
BACK_OFF_S = 100
DEFERRED = """
    SELECT extract(epoch FROM execute_after - updated)::float8 FROM pgqueuer
     WHERE entrypoint = 'after_call' AND status = 'queued'
"""


async def test_a_job_runs_again_when_a_busy_model_says(world: World) -> None:
    """As often as the job may fail but once, each time after that, and neither sooner nor within the job."""
    asked = list[str]()

    async def model(request: web.Request) -> web.Response:
        asked.append(request.path)
        if len(asked) < world.settings.job_attempts:
            error = {"message": "Rate limit reached for requests.", "code": "rate_limit_exceeded", "type": "requests"}
            return web.json_response({"error": error}, status=429, headers={"Retry-After": str(BACK_OFF_S)})
        return web.json_response(ANSWER)

    async with answering(model) as url:
        settings = world.settings.model_copy(update={"openai_api_key": "k", "openai_base_url": url})
        world.writer = client = OpenAI(settings, 20)
        async with world.working():
            await world.ended_call(("caller", "one"))
            for refused in range(1, world.settings.job_attempts):
                assert await world.until(DEFERRED) == BACK_OFF_S
                assert len(asked) == refused
                # As if that time had passed.
                async with world.db.system() as tx:
                    await tx.execute("UPDATE pgqueuer SET execute_after = updated")
            assert await world.until("SELECT summary ->> 'text' FROM calls") == "They talked."
            await world.until("SELECT count(*) FROM pgqueuer", is_true=lambda jobs: jobs == 0)
        await client.close()
    assert asked == ["/responses"] * world.settings.job_attempts
    async with world.db.system() as tx:
        assert await queue.count_dead_letters(tx) == 0


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
        while not is_true(sample(metric, labels)):
            await asyncio.sleep(0.02)


async def test_a_job_that_kills_its_workers_does_not_come_back_for_ever(world: World) -> None:
    await world.ended_call(("caller", "boom"))
    async with world.db.system() as tx:
        job = await tx.fetchval("SELECT id FROM pgqueuer")
        await tx.execute("INSERT INTO job_attempts (job_id, attempts) VALUES ($1, 3)", job)
    async with world.working():
        await world.until("SELECT count(*) FROM pgqueuer WHERE status = 'failed'", is_true=lambda n: n == 1)
    assert world.model.read == []


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
            while len(attempts) < 10:
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


async def test_a_revocation_wakes_the_check_of_browser_calls(world: World) -> None:
    key, _ = await issue_key(world.db, world.org, "k", "operator", [])
    call, flow = ids.new(), await world.flow()
    async with world.db.system() as tx:
        caller = f"key:{ids.show(Kind.API_KEY, key.id)}"
        await browser_calls.create(tx, call, world.org, caller, flow, 1, "browser-1", "v=0")
    clients = ExternalClients(FakeCarrier(), world.lookups, world.model, world.model, world.model, Silent())
    async with build_worker(world.settings, world.db.url, clients) as worker:
        sweeps = {sweep.name: sweep for feature in worker._features for sweep in feature.sweeps}
        check = sweeps["browser_callers"]
        assert check.woken is not None and await check.step() == 0
        async with patience():
            while not check.woken.is_set():  # until it listens
                async with world.db.system() as tx:
                    await identity.revoke_key(tx, key.id)
                await asyncio.sleep(0.02)
        assert await check.step() == 1
    async with world.db.system() as tx:
        assert (await calls.get(tx, call)).status == "canceled"


async def test_a_worker_waits_for_the_end_of_a_call_that_its_process_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, flow = ids.new(), await world.flow()
    async with world.db.system() as tx:
        await browser_calls.create(tx, call, world.org, "key:" + ids.show(Kind.API_KEY, ids.new()), flow, 1, "b", "v=0")
        await tx.execute("UPDATE calls SET status = 'in_progress', node = 'media-1', streams_opened = 1")

    async def has_ended(*_: object) -> str:
        return "over"

    monkeypatch.setattr(Commands, "reaches", has_ended)
    monkeypatch.setattr(Commands, "carry_out", has_ended)
    clients = ExternalClients(FakeCarrier(), world.lookups, world.model, world.model, world.model, Silent())
    # This deadline is meant to run out.
    settings = world.settings.model_copy(update={"command_seconds": 0.05})
    async with build_worker(settings, world.db.url, clients) as worker:
        sweeps = {sweep.name: sweep for feature in worker._features for sweep in feature.sweeps}
        assert await sweeps["browser_callers"].step() == 1
    async with world.db.system() as tx:
        assert (await calls.get(tx, call)).status == "completed"
