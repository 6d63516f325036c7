"""Calls over a cascade whose parts fail: a wrong key, a killed process, a full one, one that drains."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hum.process.sockets import free_port
from hum.settings import VoiceSettings, environment
from sandbox.openai import Model, Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import House
from tests.e2e.test_cascade_call import FILE, KEY, LONG, QUESTION, spoken, stages
from tests.e2e.test_inbound_call import LISTEN
from tests.support.processes import children
from tests.support.programs import listening, running, variables
from tests.support.waits import until
from voice import app as voice

__all__ = ["stages"]
pytestmark = pytest.mark.calls


class VoiceOfTest:
    """Where media finds the voice plane, which each test starts by itself."""

    def __init__(self, home: Path, file: Path) -> None:
        self.port, self.home, self.file = free_port("127.0.0.1"), home, file

    def settings(self, **more: Any) -> VoiceSettings:
        listen = f"127.0.0.1:{self.port}"
        return VoiceSettings(
            home=self.home, cascades_file=self.file, voice_listen=listen, **{"drain_seconds": 0} | more
        )

    def environment(self) -> dict[str, str]:
        return variables(
            {
                "HUM_HOME": str(self.home),
                "HUM_CASCADES": str(self.file),
                "HUM_VOICE_LISTEN": f"127.0.0.1:{self.port}",
                "STAGES_KEY": KEY,
                "PATH": environment()["PATH"],
            }
        )


@pytest.fixture
def plane(stages: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VoiceOfTest:
    monkeypatch.setenv("STAGES_KEY", KEY)
    file = tmp_path / "cascades.toml"
    file.write_text(FILE.format(url=stages.url))
    return VoiceOfTest(tmp_path, file)


@pytest.fixture
async def shared_settings(plane: VoiceOfTest) -> AsyncIterator[dict[str, Any]]:
    yield {"cascades_file": plane.file, "voice_url": f"http://127.0.0.1:{plane.port}"}


async def test_a_wrong_key_ends_the_call_once_and_says_why(
    house: House, plane: VoiceOfTest, speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGES_KEY", "sk-wrong")
    async with voice.build(plane.settings()):
        await house.answer_with(model="cascade:clinic", greeting="Welcome to the shop.")
        call = await house.ring(LISTEN, say(await speech.say(QUESTION, "caller")), stay=True)
        await call.ended()
        record = await house.record()
    assert (record["status"], record["end_reason"]) == ("failed", "model_refused"), record
    assert {each["last_error"] for each in record["model_stages"]} == {"it answered 401"}, record["model_stages"]
    requests = sum(each["requests"] for each in record["model_stages"])
    assert 1 <= requests <= 4, "nobody asks again and again"
    assert "sk-wrong" not in str(record)


async def test_a_call_goes_on_in_another_process_when_its_own_is_killed(
    house: House, plane: VoiceOfTest, speech: Speech, stages: Model
) -> None:
    stages.play(
        Script.of(
            {
                "heard": [QUESTION] * 20,
                "turns": [{"say": LONG}, {"say": "It leaves on Tuesday."}, {"say": "At nine."}, {"say": "No more."}],
                "shared": True,
            }
        )
    )
    two = (sys.executable, "-m", "voice.app", "--workers", "2")
    async with running(*two, env=plane.environment(), stderr=subprocess.DEVNULL, patience_seconds=30) as program:
        await listening(program, plane.port)
        await until(lambda: len(children(program.pid, wrapper=False)) == 2)
        await house.answer_with(model="cascade:clinic", greeting="Welcome to the shop.")
        await house.clips_rendered()
        question = await speech.say(QUESTION, "caller")
        call = await house.ring(LISTEN, say(question), LISTEN, say(question), LISTEN)
        await until(lambda: len(stages.chats) == 1)
        (busy,) = [pid for pid in children(program.pid, wrapper=False) if talks(pid, plane.port)]
        os.kill(busy, signal.SIGKILL)
        await call.ended()
        record = await house.record()
    assert (record["status"], record["end_reason"]) == ("completed", "caller"), record
    assert spoken(record, "caller") == [QUESTION] * 2
    assert spoken(record, "agent")[-1] == "At nine.", record["transcript"]


async def test_a_full_process_and_one_that_drains_refuse_and_calls_in_progress_go_on(
    house: House, plane: VoiceOfTest, speech: Speech, stages: Model
) -> None:
    question = await speech.say(QUESTION, "caller")
    async with voice.build(plane.settings(voice_sessions=1, drain_seconds=60)) as running_plane:
        await house.answer_with(model="cascade:clinic", greeting="Welcome to the shop.")
        await house.clips_rendered()
        first = await house.ring(LISTEN, say(question), LISTEN, stay=True)
        await until(lambda: len(stages.chats) == 1)
        assert running_plane.server.sessions == 1
        second = await house.ring(stay=True)
        running_plane.server.drain()
        await second.ended()
        assert not running_plane.server.drained.is_set() and not first.is_over
        first.hang_up()
        await first.ended()
        await until(running_plane.server.drained.is_set)
    calls = (await house.http.get("/api/calls")).json()["calls"]
    assert {each["end_reason"] for each in calls} == {"caller", "model_lost"}, calls


def talks(pid: int, port: int) -> bool:
    """Whether a process has a session with media."""
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
        for each in psutil.Process(pid).net_connections("tcp")
    )
