import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from media.core.legmessages import Clear
from media.core.modelmessages import TurnModel
from media.core.onsetdetector import VOICED
from media.core.types import BargedIn
from media.io.onnxfile import weights
from media.io.silero import _DITHER, _LINEAR, CONTEXT, MODEL, WINDOW, Network, Silero, State
from sandbox.speech import Speech
from tests.support import sounds
from tests.support.plans import call_plan
from tests.support.simulation import Phone, World

FRAME = 160


@pytest.fixture(scope="module")
def silero() -> Silero:
    return Silero.load()


def noise(frames: int, seed: int = 1) -> list[bytes]:
    return [np.random.default_rng([seed, n]).integers(0x60, 0xFF, FRAME, np.uint8).tobytes() for n in range(frames)]


def windows(network: Network, samples: NDArray[np.float32]) -> float:
    """The probability at the end of `samples`, computed in whole windows, each with its context."""
    state, told = State(), 0.0
    padded = np.concatenate((np.zeros(CONTEXT, np.float32), samples))
    for begin in range(0, len(samples) - WINDOW + 1, WINDOW):
        buffers = network.buffers(1)
        buffers.windows[0] = padded[begin : begin + CONTEXT + WINDOW]
        state = network.step(network.encode(buffers)[0], state)
        told = network.probability(state)
    return told


def dithered(frames: list[bytes]) -> NDArray[np.float32]:
    codes = np.frombuffer(b"".join(frames), np.uint8)
    return _LINEAR[codes] + _DITHER[: len(codes)]


def test_it_computes_what_the_model_says(silero: Silero) -> None:
    """Compare with the same file run by onnxruntime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
    given = (np.random.default_rng(3).standard_normal((50, CONTEXT + WINDOW)) * 0.2).astype(np.float32)
    given[20:30] *= 0.01
    theirs, carried, rate = [], np.zeros((2, 1, 128), np.float32), np.array(8_000, np.int64)
    for window in given:
        told, carried = session.run(None, {"input": window[np.newaxis], "state": carried, "sr": rate})
        theirs.append(float(told[0, 0]))
    network, state, ours = silero.network, State(), []
    buffers = network.buffers(50)
    buffers.windows[:] = given
    for gates in network.encode(buffers):
        state = network.step(gates, state)
        ours.append(network.probability(state))
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert max(theirs) - min(theirs) > 0.01


def test_history_is_judged_up_to_its_newest_sample(silero: Silero) -> None:
    frames = noise(16)
    told = silero.detector()(b"".join(frames), True)
    assert told == pytest.approx(windows(silero.network, dithered(frames)), abs=1e-4)
    changed = [*frames[:-1], frames[-1][:-40] + bytes(40)]
    assert silero.detector()(b"".join(changed), True) != pytest.approx(told, abs=1e-6)


def test_short_history_drops_its_oldest_samples(silero: Silero) -> None:
    frames = noise(4)
    codes = b"".join(frames)
    assert silero.detector()(codes, True) == silero.detector()(codes[len(codes) % WINDOW :], True)


def test_state_is_carried_by_whole_windows_and_what_is_left_leaves_no_trace(silero: Silero) -> None:
    frames = noise(24, seed=2)
    detector = silero.detector()
    told = [detector(frames[0] + frames[1][:96], True)]  # one window
    rest = b"".join(frames)[WINDOW:]
    pieces = [rest[at : at + FRAME] for at in range(0, len(rest) - FRAME, FRAME)]
    told += [detector(piece, False) for piece in pieces]
    samples = dithered(frames)
    for count, each in enumerate(told):
        upto = WINDOW + count * FRAME
        if upto % WINDOW == 0:
            assert each == pytest.approx(windows(silero.network, samples[:upto]), abs=1e-4)
    assert sum((WINDOW + count * FRAME) % WINDOW == 0 for count in range(len(told))) >= 3


def test_frames_that_come_together_are_judged_as_if_they_had_come_one_by_one(silero: Silero) -> None:
    frames = noise(12, seed=3)
    apart, together = silero.detector(), silero.detector()
    for detector in (apart, together):
        detector(b"".join(frames[:5]), True)
    told = [apart(frame, False) for frame in frames[5:]]
    assert together(b"".join(frames[5:]), False) == pytest.approx(told[-1], abs=1e-4)
    assert together(b"", False) == pytest.approx(told[-1], abs=1e-4)


def test_a_fresh_candidate_knows_nothing_of_the_last_one_nor_of_other_calls(silero: Silero) -> None:
    frames, other = b"".join(noise(16)), b"".join(noise(16, seed=9))
    first, second = silero.detector(), silero.detector()
    told = first(frames, True)
    second(other, True)
    first(other[:FRAME], False)
    assert first(frames, True) == told
    assert first(b"", True) == 0.0


def test_a_file_that_is_no_model_is_refused() -> None:
    for broken in (b"\x3a\xff\xff\xff\x7f", b"\x3b", b"\x80" * 12):
        with pytest.raises(ValueError, match="not an ONNX model"):
            weights(broken)
    assert weights(b"") == {}
    with pytest.raises(KeyError):
        Network({})


def loudest(silero: Silero, samples: NDArray[np.float64]) -> float:
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
def sentence() -> bytes:
    if not Speech.available():
        pytest.skip("needs the extra `speech`")
    speech = Speech()
    try:
        return asyncio.run(speech.say("I would like to book a table for two, please.", "caller"))
    finally:
        speech.close()


@pytest.mark.speech
def test_speech_is_confirmed(silero: Silero, sentence: bytes) -> None:
    detector = silero.detector()
    told = [detector(sentence[at : at + FRAME], False) for at in range(0, len(sentence) - FRAME, FRAME)]
    assert max(told) > 0.95
    assert sum(each >= VOICED for each in told) > len(told) / 2


@pytest.mark.parametrize("name", NOISES)
def test_what_is_no_speech_is_not_confirmed(silero: Silero, name: str) -> None:
    assert loudest(silero, NOISES[name]) < VOICED


def talking(silero: Silero, frames: list[bytes], ms: int) -> Phone:
    """A call in which the agent talks continuously, with this sound on the caller's line."""
    plan = call_plan("Be brief.", TurnModel("gpt-realtime", "alloy", "gpt-4o-mini-transcribe"))
    phone = Phone(World(), plan, confirm=silero.detector(), answer_ms=ms + 2_000)
    phone.after(1_000)
    phone.speak(400)  # nobody speaks over the agent yet: the detector is not run
    phone.after(1_600)
    assert phone.talk._voice.playout.audible(phone.world.now)
    phone.frames += frames
    phone.after(ms)
    return phone


def clears(phone: Phone) -> int:
    return sum(isinstance(action, Clear) for _, action in phone.actions)


@pytest.mark.parametrize("name", NOISES)
def test_the_agent_talks_on_over_what_is_no_speech(silero: Silero, name: str) -> None:
    phone = talking(silero, sounds.frames(NOISES[name]), 11_000)
    assert clears(phone) == 0
    assert phone.told(BargedIn) == []
    assert not phone.talk._floor.vad.speaking


@pytest.mark.speech
def test_a_sentence_takes_the_floor(silero: Silero, sentence: bytes) -> None:
    frames = [sentence[at : at + FRAME] for at in range(0, len(sentence) - FRAME, FRAME)]
    phone = talking(silero, frames, 4_000)
    (overlap,) = phone.told(BargedIn)
    assert overlap.verdict == "cut"
    assert clears(phone) == 1
