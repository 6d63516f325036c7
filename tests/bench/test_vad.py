"""The benchmark runs; its figures are not asserted, except for sounds that must never stop the agent."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import vad, vad_calls
from media.core.audio import to_linear
from media.io.silero import Silero
from tests.support import sounds
from tests.support.sentences import spoken


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero.load()


def test_it_says_how_to_get_the_recordings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sounds, "SOUNDS", tmp_path / "none")
    assert vad.main(["--seconds", "1"]) == 1
    assert "apt-get install" in capsys.readouterr().err


@pytest.mark.bench
@pytest.mark.skipif(not (sounds.SOUNDS.is_dir() and sounds.MUSIC.is_dir()), reason="the recordings are not installed")
def test_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vad.main(["--seconds", "1", "--prompts", "2", "--json", str(tmp_path / "vad.json")]) == 0
    told = json.loads((tmp_path / "vad.json").read_text())
    assert set(told) == set(vad.TITLES)
    assert {row["detector"] for row in told["sentences"]} == set(vad.DETECTORS)
    assert "hearing" in capsys.readouterr().out


@pytest.mark.bench
def test_whoever_speaks_for_a_second_stops_the_agent(silero: Silero) -> None:
    """Held-out sentences in each language that is installed, or else in the sandbox's voice."""
    voices = {name: spoken[:12] for name, spoken in sounds.other_voices().items()}
    if not voices:
        pieces = [np.frombuffer(to_linear(b"".join(each)), np.int16) / 32_768 for each in spoken()]
        voices = {"pico": [sounds.spoken(str(n), np.tile(wave, 2), -22.0) for n, wave in enumerate(pieces)]}
    told = [each for name, spoken in voices.items() for each in vad.stops(name, spoken, silero)]
    assert all(each.trials >= 8 for each in told)
    assert [each for each in told if not each.trials == each.cleared == each.cut] == []


def test_dtmf_alarms_the_peer_and_not_us(silero: Silero) -> None:
    told = {each.detector: each for each in vad.alarms("DTMF", sounds.dtmf(5, -20), silero)}
    assert told["hearing"].onsets == 0
    assert told["webrtcvad"].taken_percent > 50


def test_a_tone_is_no_voice_whether_it_stands_still_or_glides(silero: Silero) -> None:
    still, gliding = (vad.alarms("", wave, silero)[0] for wave in (sounds.beeps(20, -20), sounds.glides(20, -20)))
    assert still.onsets == 0
    assert gliding.onsets <= 2


def test_the_agents_echo_and_tones_stop_nobody(silero: Silero) -> None:
    says = sounds.ulaw(sounds.dtmf(2, -20))
    line = vad_calls.SimulatedPhone(says, silero.detector())
    line.play(sounds.frames(sounds.ringback(2, -20)))
    line.echo(2, 20, 150)
    told = line.told("tones", "hearing")
    assert (told.cleared, told.cut, told.stuck, told.seconds) == (0, 0, 0, 4)


def test_a_prompt_begins_where_it_is_heard_to() -> None:
    samples = sounds.silence(0.5)
    samples[1_000:3_000] = sounds.white(0.25, -20)
    prompt = sounds.spoken("x", samples, -22)
    assert 1_000 <= prompt.begins < 1_010
