"""`hum call` beside a running platform: the conversation as it goes, and what was heard of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cli import call
from control.base.hours import WEEKDAYS
from hum.process import home
from realtime.audio import decode
from sandbox.openai import Script
from sandbox.speech import Speech, sound
from tests.e2e.conftest import ACCOUNT, CALLER, NUMBER, TOKEN, House


@pytest.fixture
def script() -> Script:
    return Script.of(
        {
            "heard": ["I would like to book a visit"],
            "turns": [{"say": "Of course.", "call": {"name": "end_call", "arguments": {}}}],
        }
    )


@pytest.fixture
async def line(speech: Speech, tmp_path: Path) -> str:
    """What the caller says, in stereo, at 44.1 kHz, in 24 bits."""
    spoken = decode(await speech.say("I would like to book a visit please.", "caller"))
    samples = sound.resample(spoken, 8_000, 44_100)
    path = tmp_path / "line.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1) / 32_768, 44_100, "PCM_24", format="WAV")
    return str(path)


@pytest.fixture
def here(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The platform, as the command line finds it."""
    monkeypatch.setenv("HUM_HOME", str(house.home))
    run = {"public_url": str(house.http.base_url).rstrip("/"), "control_address": f"127.0.0.1:{house.control.port}"}
    home.write_run(house.home, run | {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN})
    return house


@pytest.mark.calls
async def test_the_conversation_is_printed_as_it_goes(
    here: House, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.answer_with(greeting="Welcome to the clinic.")
    await here.clips_rendered()
    assert await call.run(NUMBER, "+13175550199", [line], [], as_json=False) == 0
    printed = capsys.readouterr()
    record = await here.record()
    page = printed.out.splitlines()[-1]
    assert page.endswith(f"/calls/{record['id']}")
    assert (await here.http.get(page)).status_code == 200
    during, _, after = printed.out.partition("What the caller heard of the agent:\n")
    for turn in record["transcript"]:
        assert f"{turn['role']}: {turn['text']}" in during
    assert "caller: I would like to book a visit" in during
    assert "  Welcome to the clinic.\n" in after
    assert printed.err == ""


@pytest.mark.calls
async def test_as_json_it_is_one_object_with_the_transcript(
    here: House, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.answer_with(greeting="Welcome to the clinic.")
    assert await call.run(NUMBER, "+13175550199", [line], [], as_json=True) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])  # the lines before are the platform's log
    record = await here.record()
    assert [turn["text"] for turn in facts["transcript"]] == [turn["text"] for turn in record["transcript"]]


@pytest.mark.calls
async def test_without_control_the_call_goes_on_and_what_is_missing_is_said(
    here: House, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.answer_with(greeting="Welcome to the clinic.")
    (here.home / "node.key").write_text("another-key-than-that-of-control\n")
    assert await call.run(NUMBER, "+13175550199", [line], [], as_json=False) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("hum: the conversation is not complete: ")
    assert "completed after" in printed.out


@pytest.mark.calls
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("+13175550177", "no agent answered, and no call was recorded: +13175550177 is none of the platform's numbers"),
        (NUMBER[1:], f"no agent answered, and no call was recorded: {NUMBER[1:]} is not in E.164, which begins with +"),
    ],
)
async def test_a_number_that_nobody_has_is_one_sentence(
    here: House, to: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.answer_with()
    assert await call.run(to, CALLER, [], [], as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1] == said


@pytest.mark.calls
async def test_a_refused_call_says_what_was_recorded_of_it(here: House, capsys: pytest.CaptureFixture[str]) -> None:
    day = WEEKDAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    await here.answer_with(business_hours_json={"time_zone": "UTC", "weekly": {day: [["00:00", "24:00"]]}})
    assert await call.run(NUMBER, CALLER, [], [], as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "no agent answered: completed, after_hours"
    (await here.http.post("/api/blocklist", json={"phone_e164": CALLER})).raise_for_status()
    assert await call.run(NUMBER, CALLER, [], [], as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "no agent answered: blocked, blocked"
    assert await call.run(NUMBER, CALLER, [], [], as_json=True) == 1
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (facts["end_reason"], facts["refusal"]) == ("blocked", "no agent answered: blocked, blocked")


@pytest.mark.calls
async def test_a_number_without_a_flow_says_so(here: House, capsys: pytest.CaptureFixture[str]) -> None:
    (await here.http.post("/api/numbers", json={"e164": NUMBER})).raise_for_status()
    assert await call.run(NUMBER, CALLER, [], [], as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "no agent answered: failed, no_flow"
    (listed,) = (await here.http.get("/api/calls")).json()["calls"]
    record = (await here.http.get(f"/api/calls/{listed['id']}")).json()
    assert (record["status"], record["end_reason"]) == ("failed", "no_flow")


@pytest.mark.parametrize("line", ["", " \n"])
async def test_no_words_are_one_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await call.run(NUMBER, "+13175550199", [], ["Hello.", line], as_json=False) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hum: --say needs words\n")


@pytest.mark.parametrize("file", [b"", b"RIFF", b"no sound at all" * 100])
async def test_a_file_that_is_no_sound_is_one_sentence(
    file: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "line.wav"
    path.write_bytes(file)
    for named in (path, tmp_path / "missing.wav", tmp_path):
        assert await call.run(NUMBER, "+13175550199", [str(named)], [], as_json=False) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert str(named) in printed.err
