"""Parts of a running platform are killed while callers ring and talk: nobody is left in silence, no call stays open."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from control.calls.prompts import CallerPrompt, localized
from sandbox.twilio import Call
from tests.e2e.conftest import CALLER, NUMBER
from tests.e2e.deployments import STAY, Deployment, deployed, deployment_of_all, lasting, lent_database_url
from tests.support.waits import patience

__all__ = ["deployment_of_all", "lasting", "lent_database_url"]
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def more_of_all() -> dict[str, str]:
    """A program that starts on a busy machine may take longer than the carrier waits for one attempt."""
    return {"ingress_seconds": "15"}


@pytest.mark.timeout(600)
async def test_no_call_stays_open_whatever_dies_and_whoever_is_silent(deployment: Deployment) -> None:
    """The carrier sends no status, as when its tries met a gateway that was dead."""
    deployment.carrier.number(NUMBER).configure({"status_callback": ""})

    # The media process dies, and the caller hangs up at this moment.
    call = await deployment.talking()
    deployment.kill("media")
    call.hang_up()
    (first,) = await deployment.all_over(90)
    assert (first["status"], first["end_reason"]) == ("completed", "stream_lost")

    # Everything dies in a call.
    call = await deployment.talking()
    deployment.kill("media", "gateway", "control", "worker")
    call.hang_up()
    second, _ = await deployment.until(lambda found: len(found) == 2 and bool(found[0]["ended_at"]), 120)
    assert (second["status"], second["end_reason"]) == ("completed", "stream_lost")

    # The caller hangs up between the answer and the stream, and control dies.
    await deployment.until(lambda _: True, 20)
    deployment.kill("media", with_signal=signal.SIGSTOP)
    call = await deployment.ring()
    await call.journal.find("webhook.answered")
    call.hang_up()
    deployment.kill("control")
    deployment.kill("media", with_signal=signal.SIGCONT)
    third, *_ = await deployment.until(lambda found: len(found) == 3 and bool(found[0]["ended_at"]), 120)
    assert (third["status"], third["end_reason"]) == ("canceled", "caller")

    over = await deployment.http.post(f"/api/calls/{third['id']}/hangup")
    assert (over.status_code, over.json()["error"]["code"]) == (409, "invalid_state")
    (number,) = (await deployment.http.get("/api/numbers")).json()["numbers"]
    assert (await deployment.http.delete(f"/api/numbers/{number['id']}")).status_code == 204, "no call is on it"


def _is_heard_again(call: Call) -> bool:
    """Whether the agent is heard on a second stream, which the call has joined then."""
    names = [each["event"] for each in call.journal.events if each["event"] in {"stream.started", "agent.audio"}]
    starts = [place for place, name in enumerate(names) if name == "stream.started"]
    return len(starts) > 1 and "agent.audio" in names[starts[1] :]


async def test_a_media_process_that_dies_is_followed_at_once(deployment: Deployment) -> None:
    call = await deployment.talking()
    deployment.kill("media")
    killed_at = time.monotonic()
    async with patience():
        while len(call.verbs) < 2:
            await asyncio.sleep(0.01)
    took_seconds = time.monotonic() - killed_at
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect"]
    assert took_seconds < 15, "as long as its program takes to come back, on a busy machine"
    async with patience():
        while not _is_heard_again(call):
            await asyncio.sleep(0.05)
    call.hang_up()
    (record,) = await deployment.all_over()
    assert record["status"] == "completed"


async def test_the_keys_of_an_entry_outlive_the_media_process_that_it_began_in(deployment: Deployment) -> None:
    typed = "0123456789" * 4
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 300, "timeout_ms": 60_000}
    sessions = len(deployment.model.sessions)
    call = await deployment.carrier.ring(NUMBER, CALLER, [listen, {"do": "press", "digits": typed}, STAY])

    async def entries() -> list[str]:
        rows = await deployment.calls()
        answer = await deployment.http.get(f"/api/calls/{rows[0]['id']}") if rows else None
        return [entry["keys"] for entry in answer.json()["keypad_entries"]] if answer is not None else []

    def told() -> str:
        return str(
            [
                each
                for session in deployment.model.sessions[sessions:]
                for each in session.received("conversation.item.create")
            ]
        )

    async with patience():
        while not (known := await entries()):
            await asyncio.sleep(0.05)
        deployment.kill("media")
        assert len(known[0]) < len(typed), "the caller is still typing"
        while not _is_heard_again(call) or known[0] not in told():
            await asyncio.sleep(0.05)
    call.hang_up()
    await deployment.all_over()
    assert (await entries())[0].startswith(known[0])


async def test_callers_are_answered_while_control_restarts(deployment: Deployment) -> None:
    deployment.kill("control")
    callers = [await deployment.ring() for _ in range(8)]
    for caller in callers:
        assert (await caller.journal.find("twiml.verb"))["verb"] == "Connect"
        caller.hang_up()
    assert len(await deployment.all_over()) == 8


async def test_a_caller_for_whom_there_is_no_room_hears_so_and_has_a_record(
    monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> None:
    full = {"HUM_MAX_CALLS": "1", "room_seconds": "1"}
    async with deployed(monkeypatch, database_url, tmp_path, full) as deployment:
        first = await deployment.talking()
        await asyncio.sleep(1)  # control is told within a quarter of a second
        second = await deployment.ring()
        await second.ended()
        assert [verb.name for verb in second.verbs] == ["Say", "Hangup"]
        assert second.sentences == [localized(CallerPrompt.BUSY, "de")[0]]
        refused, _ = await deployment.calls()
        assert (refused["status"], refused["end_reason"]) == ("failed", "no_capacity")
        first.hang_up()
        await deployment.all_over()
