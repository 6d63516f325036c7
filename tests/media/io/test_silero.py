import asyncio

import numpy as np
import pytest

from bench import sounds
from bench.simulation import Phone, World
from media.core.types import BargedIn, CallPlan, ToCaller
from media.core.vad import CONFIRMED
from media.io.silero import CONTEXT, STATE_SHAPE, WINDOW, Silero
from sandbox.speech import Speech

FRAME = 160


class FakeSession:
    """Counts windows; tells the number of the window as a probability and as a state."""

    def __init__(self):
        self.windows, self.states = [], []

    def run(self, output_names, inputs):
        assert output_names is None and inputs["sr"] == 8_000
        assert inputs["input"].shape == (1, CONTEXT + WINDOW) and inputs["input"].dtype == np.float32
        assert inputs["state"].shape == STATE_SHAPE
        self.windows.append(inputs["input"][0].copy())
        self.states.append(float(inputs["state"][0, 0, 0]))
        count = len(self.windows)
        return [np.full((1, 1), count / 100, np.float32), np.full(STATE_SHAPE, count, np.float32)]


def loud(samples):
    """Whether there is more than the noise that is laid under everything."""
    return np.abs(samples).max() > 0.02


def test_history_is_judged_up_to_its_newest_sample():
    session = FakeSession()
    newest = bytes([0x80])
    assert Silero(session).detector()(b"\xff" * (16 * FRAME - 1) + newest, True) == pytest.approx(0.10)
    assert len(session.windows) == 10
    assert session.windows[-1][-1] > 0.9 and not loud(session.windows[-1][:-1])


def test_short_history_drops_its_oldest_samples():
    session = FakeSession()
    Silero(session).detector()(b"\x80" * 44 + b"\xff" * (2 * WINDOW), True)
    assert len(session.windows) == 2
    assert not loud(session.windows)


def test_only_whole_new_windows_run_and_each_begins_with_the_end_of_the_last():
    session = FakeSession()
    detector = Silero(session).detector()
    frames = [np.random.default_rng(n).bytes(FRAME) for n in range(8)]
    told = [detector(frames[0], True), *(detector(frame, False) for frame in frames[1:])]
    assert [round(100 * each) for each in told] == [0, 0, 1, 1, 2, 3, 3, 4]
    assert session.states == [0, 1, 2, 3]
    for before, after in zip(session.windows, session.windows[1:], strict=False):
        assert (after[:CONTEXT] == before[-CONTEXT:]).all()


def test_a_fresh_candidate_knows_nothing_of_the_last_one():
    session = FakeSession()
    detector = Silero(session).detector()
    detector(b"\x80" * WINDOW, True)
    detector(b"\x80" * (WINDOW - 1), False)
    detector(b"\x90" * WINDOW, True)
    assert session.states == [0, 0]
    assert not session.windows[1][:CONTEXT].any()  # no context
    assert detector(b"", True) == 0.0


def test_two_calls_share_the_session_and_nothing_else():
    session = FakeSession()
    silero = Silero(session)
    first, second = silero.detector(), silero.detector()
    first(b"\x80" * WINDOW, True)
    second(b"\x80" * WINDOW, True)
    first(b"\x80" * WINDOW, False)
    assert session.states == [0, 0, 1]


@pytest.fixture(scope="module")
def silero():
    return Silero.load()


def loudest(silero, samples):
    detector = silero.detector()
    return max(detector(frame, False) for frame in sounds.frames(samples))


NOISES = {
    "white": sounds.white(10, -30),
    "pink": sounds.pink(10, -25),
    "dtmf": sounds.dtmf(10, -20),
    "ringback": sounds.ringback(10, -20),
    "hum": sounds.hum(10, -30),
    "clicks": sounds.clicks(10, -15),
}


@pytest.fixture(scope="module")
def sentence():
    if not Speech.available():
        pytest.skip("needs the extra `speech`")
    speech = Speech()
    try:
        return asyncio.run(speech.say("I would like to book a table for two, please.", "caller"))
    finally:
        speech.close()


@pytest.mark.speech
def test_speech_is_confirmed(silero, sentence):
    detector = silero.detector()
    told = [detector(sentence[at : at + FRAME], False) for at in range(0, len(sentence) - FRAME, FRAME)]
    assert max(told) > 0.95
    assert sum(each >= CONFIRMED for each in told) > len(told) / 2


@pytest.mark.parametrize("name", NOISES)
def test_what_is_no_speech_is_not_confirmed(silero, name):
    assert loudest(silero, NOISES[name]) < CONFIRMED


def talking(silero, frames, ms):
    """A call in which the agent talks on and on, and the caller's line sounds like this."""
    plan = CallPlan("call", "Be brief.", "alloy", "gpt-realtime", "gpt-4o-mini-transcribe")
    phone = Phone(World(), plan, confirm=silero.detector(), answer_ms=ms + 2_000)
    phone.after(1_000)
    phone.speak(400)  # nobody speaks over the agent yet: the detector is not asked
    phone.after(1_600)
    assert phone.talk._voice.playout.audible(phone.world.now)
    phone.frames += frames
    phone.after(ms)
    return phone


def clears(phone):
    return sum(isinstance(action, ToCaller) and b'"clear"' in action.payload for _, action in phone.actions)


@pytest.mark.parametrize("name", NOISES)
def test_the_agent_talks_on_over_what_is_no_speech(silero, name):
    phone = talking(silero, sounds.frames(NOISES[name]), 11_000)
    assert clears(phone) == 0
    assert phone.told(BargedIn) == []
    assert not phone.talk._vad.speaking


@pytest.mark.speech
def test_a_sentence_takes_the_floor(silero, sentence):
    frames = [sentence[at : at + FRAME] for at in range(0, len(sentence) - FRAME, FRAME)]
    phone = talking(silero, frames, 4_000)
    (overlap,) = phone.told(BargedIn)
    assert overlap.verdict == "cut"
    assert clears(phone) == 1
