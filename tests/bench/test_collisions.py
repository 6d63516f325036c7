"""Spoken sentences with pauses, heard by the detector over the agent: the agent is never in the way."""

import pytest

from bench import collisions
from media.io.silero import Silero
from sandbox.speech import Speech
from tests.support.sentences import spoken
from tests.support.simulation import voice


@pytest.mark.parametrize("latency_ms", [(150, 900), (0, 200)])
def test_a_caller_whose_pauses_vary_is_never_spoken_into(
    monkeypatch: pytest.MonkeyPatch, latency_ms: tuple[int, int]
) -> None:
    monkeypatch.setattr(collisions, "LATENCY_MS", latency_ms)
    found = collisions.measure(10, [voice(ms, seed=ms) for ms in (420, 900, 1_500)], None)
    assert found.turns == 10
    assert found.at_once, "there were moments at which both began"
    assert found.failed() == 0, found


@pytest.mark.skipif(not Speech.available(), reason="the sandbox has no voice")
def test_the_agent_does_not_speak_into_a_spoken_sentence() -> None:
    found = collisions.measure(8, spoken(), Silero.load())
    assert found.turns == 8
    assert found.at_once + found.resumed, "callers and agent did meet"
    assert found.failed() == 0, found


def test_without_a_voice_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Speech, "available", staticmethod(lambda: False))
    assert collisions.main(["--turns", "1"]) == 1
    assert "speech" in capsys.readouterr().err
