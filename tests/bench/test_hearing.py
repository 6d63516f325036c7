"""Who is heard over the agent on four lines of everyday life, in virtual time; and that the benchmark runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import hearing
from bench.hearing_line import EchoPath, SimulatedCaller, joined
from media.io.silero import Silero
from tests.support import sounds
from tests.support.sounds import RATE_HZ

INSTALLED = sounds.SOUNDS.is_dir() and sounds.MUSIC.is_dir()
needs_recordings = pytest.mark.skipif(not INSTALLED, reason="the recordings are not installed")
EVERY_SECONDS, SENTENCES = 6, 8
CALLER_DB = -22.0


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero.load()


@pytest.fixture(scope="module")
def prompts() -> list[sounds.Prompt]:
    return [each for each in sounds.prompts(held=True, level_db=CALLER_DB) if len(each.wave) >= 2 * RATE_HZ]


@pytest.fixture(scope="module")
def agent() -> sounds.Wave:
    others = [each.wave for each in sounds.prompts(held=False) if len(each.wave) >= 2 * RATE_HZ]
    return joined(others[:30], hearing.AGENT_DB)


def caller(prompts: list[sounds.Prompt]) -> tuple[sounds.Wave, list[float]]:
    """Someone who says 1.5 s every six seconds, and when each sentence begins in seconds."""
    line, begins = sounds.silence(EVERY_SECONDS * SENTENCES + 2), []
    for n in range(SENTENCES):
        said = prompts[n * 7 % len(prompts)]
        wave = said.wave[said.begins : said.begins + round(1.5 * RATE_HZ)]
        at = round((EVERY_SECONDS * n + 3) * RATE_HZ)
        line[at : at + len(wave)] += wave
        begins.append(at / RATE_HZ)
    return line, begins


def stops(line: SimulatedCaller, wave: sounds.Wave, begins: list[float]) -> tuple[int, int, int]:
    """Play it; return how many sentences cut the agent, and how often it was cleared or cut by anything else."""
    told = line.play(wave)

    def of_a_sentence(at: float) -> bool:
        return any(begin - 0.1 <= at <= begin + 2.2 for begin in begins)

    heard = sum(any(begin <= at <= begin + 2.2 for at in told.cuts) for begin in begins)
    return heard, sum(not of_a_sentence(at) for at in told.clears), sum(not of_a_sentence(at) for at in told.cuts)


@needs_recordings
@pytest.mark.bench
def test_a_caller_on_hold_music(silero: Silero, prompts: list[sounds.Prompt], agent: sounds.Wave) -> None:
    """Music 12 dB softer than the caller plays all the time: they are heard, and it stops nobody."""
    line, begins = caller(prompts)
    music = np.concatenate([sounds.at_level(each, CALLER_DB - 12) for each in list(sounds.music().values())[:1]])
    heard, clears, cuts = stops(SimulatedCaller(agent, silero), sounds.mix(line, np.resize(music, len(line))), begins)
    assert (heard, clears, cuts) == (SENTENCES, 0, 0)


@needs_recordings
@pytest.mark.bench
def test_a_caller_in_a_car(silero: Silero, prompts: list[sounds.Prompt], agent: sounds.Wave) -> None:
    """Noise of the road 12 dB softer than the caller, the engine's hum, and the indicator's clicks."""
    line, begins = caller(prompts)
    seconds = len(line) / RATE_HZ
    road, engine = sounds.pink(seconds, CALLER_DB - 12), sounds.hum(seconds, CALLER_DB - 15, 75)
    car = sounds.mix(line, road, engine, sounds.clicks(seconds, CALLER_DB - 15))
    assert stops(SimulatedCaller(agent, silero), car, begins) == (SENTENCES, 0, 0)


@needs_recordings
@pytest.mark.bench
@pytest.mark.parametrize("loss_db", [14, 20, 26])
def test_a_caller_who_turns_the_loudspeaker_on(
    silero: Silero, prompts: list[sounds.Prompt], agent: sounds.Wave, loss_db: float
) -> None:
    """The agent's echo sets in after ten seconds: it never stops the agent, and the caller goes on to be heard."""
    line, begins = caller(prompts)
    wave = sounds.mix(line, sounds.white(len(line) / RATE_HZ, -70.0))
    speakerphone = SimulatedCaller(agent, silero, EchoPath(loss_db, 150.0, 10.0))
    assert stops(speakerphone, wave, begins) == (SENTENCES, 0, 0)


@needs_recordings
@pytest.mark.bench
def test_a_caller_with_a_television(silero: Silero, prompts: list[sounds.Prompt], agent: sounds.Wave) -> None:
    """Someone talks on television without a pause, 20 dB softer than the caller, who is heard each time.

    It is a voice and no echo, so it stops the agent at first.
    """
    line, begins = caller(prompts)
    others = [each.wave for each in sounds.prompts(held=False) if len(each.wave) >= 2 * RATE_HZ]
    television = np.resize(joined(others[30:60], CALLER_DB - 20), len(line))
    wave, over = sounds.mix(line, television), SimulatedCaller(agent, silero)
    turn = prompts[5].wave[: 2 * RATE_HZ]
    over.take_turn(sounds.mix(turn, television[-len(turn) :]))
    heard, clears, cuts = stops(over, wave, [begin + len(turn) / RATE_HZ for begin in begins])
    assert heard == SENTENCES
    assert clears <= 3 and cuts <= 2


@needs_recordings
@pytest.mark.bench
def test_the_benchmark_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "RELATIVE_DB", (0,))
    monkeypatch.setattr(hearing, "ECHOES_DB", (None, 20))
    given = ["--seconds", "3", "--prompts", "1", "--json", str(tmp_path / "hearing.json")]
    monkeypatch.setattr(sounds, "music", dict)
    assert hearing.main(given) == 0
    told = json.loads((tmp_path / "hearing.json").read_text())
    assert set(told) == set(hearing.PARTS)
    assert "onset p99 ms" in capsys.readouterr().out


def test_it_says_how_to_get_the_recordings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sounds, "SOUNDS", tmp_path / "none")
    assert hearing.main([]) == 1
    assert "apt-get install" in capsys.readouterr().err


def test_bursts_lie_on_a_quiet_line() -> None:
    wave = hearing.bursts([sounds.tones((60,), 0.5, -20.0)] * 3)
    frames = wave[: len(wave) // 160 * 160].reshape(-1, 160)
    loud = (frames**2).mean(axis=1) > 10**-3
    assert 70 <= loud.sum() <= 80
    assert np.flatnonzero(np.diff(loud.astype(int)) == 1).size == 3


def test_a_recording_that_begins_with_an_offset_begins_with_its_voice() -> None:
    """Neither its decay nor the filter's step are a sound, and a recording that begins with a voice keeps all of it."""
    offset = 0.25 * np.exp(-np.arange(RATE_HZ) / 300)
    voice = np.concatenate((sounds.silence(0.3), sounds.tones((200, 400), 0.7, -20.0)))
    heard = sounds.spoken("late", sounds.without_thump(voice + offset), -22.0)
    assert abs(heard.begins - (0.3 * RATE_HZ - 160)) < 160
    at_once = sounds.tones((200, 400), 0.5, -20.0)
    assert len(sounds.without_thump(at_once)) == len(at_once)


def test_an_echo_from_a_room_is_as_loud_and_goes_on() -> None:
    played = [sounds.white(0.02, -20.0, seed) for seed in range(20)]
    copy, in_a_room = EchoPath(20.0).sound(played), EchoPath(20.0, direct_db=0.0).sound(played)
    assert np.allclose(copy, played[-1] / 10)
    assert 0.5 < (in_a_room**2).mean() / (copy**2).mean() < 2
    assert (EchoPath(20.0, direct_db=0.0).sound([*played[:-1], sounds.silence(0.02)]) ** 2).mean() > (
        copy**2
    ).mean() / 20
