"""The gate against the agent's echo: what it learns, and what it takes for a copy."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import numpy as np

from media.core.audio import FRAME_BYTES, SILENCE_BYTE, SILENT_DB, from_linear, level_db, to_linear
from media.core.backlog import Backlog
from media.core.echo import FOREIGN_SECONDS, LEAST_DB, MOST_DB, SIZES, STOPPED_FRAMES, UNKNOWN_DB, EchoGate, likeness
from media.core.modelmessages import TurnModel
from media.core.types import BargedIn, OnsetsRefused, RefusedOnset
from tests.support.plans import call_plan
from tests.support.simulation import Phone

LATE_FRAMES = 8


@cache
def speech(frames: int, db: float, seed: int = 1) -> tuple[bytes, ...]:
    """A sound with a changing pitch and level, which is like no other seed's."""
    random = np.random.default_rng(seed)
    at = np.arange(frames * FRAME_BYTES)
    size = len(at) // 800 + 2
    hertz = np.interp(at, np.arange(size) * 800, random.uniform(90, 250, size))
    loud = np.interp(at, np.arange(size) * 800, random.uniform(0.2, 1, size))
    phase = 2 * np.pi * np.cumsum(hertz) / 8_000
    wave = loud * sum(random.uniform(0.2, 1) * np.sin(k * phase + k * k) for k in range(1, 16))
    wave = wave + random.standard_normal(len(at)) * loud * 0.3
    wave *= 32_768 * 10 ** (db / 20) / np.sqrt((wave**2).mean())
    ulaw = from_linear(np.clip(wave, -32_768, 32_767).astype(np.int16).tobytes())
    return tuple(ulaw[n : n + FRAME_BYTES] for n in range(0, len(ulaw), FRAME_BYTES))


class Agent:
    """Speaks on, as the ledger tells it."""

    def __init__(self, db: float = -20.0) -> None:
        self.frames: Sequence[bytes] = speech(4_000, db, seed=7)
        self.now = 0

    def echo_level_db(self, now_ms: int) -> float:
        return max(
            (level_db(each) for each in self.frames[max(0, round(now_ms / 20) - 24) : round(now_ms / 20)]),
            default=SILENT_DB,
        )

    def recent(self, now_ms: int, ms: int) -> bytes:
        now = round(now_ms / 20)
        return b"".join(self.frames[max(0, now - 24 - round(ms / 20)) : now])


class Call:
    def __init__(self) -> None:
        self.agent, self.history = Agent(), Backlog()
        self.gate = EchoGate(cast("Any", self.agent), self.history)
        self.now = 100

    def hears(self, frames: Sequence[bytes], voiced: bool = False) -> bool:
        """The line sounds like this while the agent speaks; return what the gate says of the last frame as an onset."""
        passes = False
        for frame in frames:
            self.now += 1
            self.history.add(frame)
            self.gate.frame(level_db(frame), self.now * 20, voiced=voiced)
            passes = self.gate.passes(level_db(frame), 12, self.now * 20)
        return passes

    def echo(self, count: int, loss_db: int) -> list[bytes]:
        """The agent's voice, softer and later."""
        pcm = [np.frombuffer(to_linear(each), np.int16) for each in self.agent.frames[self.now - LATE_FRAMES :][:count]]
        return [from_linear((each * 10 ** (-loss_db / 20)).astype(np.int16).tobytes()) for each in pcm]


def in_a_room(frames: Sequence[bytes]) -> list[bytes]:
    """The same sound with reverberation that is 6 dB louder than itself, for 0.3 s."""
    at = np.arange(2_400)
    answer = np.random.default_rng(2).standard_normal(len(at)) * np.exp(-6.9 * at / len(at))
    answer /= np.sqrt((answer[1:] ** 2).sum())
    answer[0] = 0.5
    pcm = np.frombuffer(to_linear(b"".join(frames)), np.int16)
    ulaw = from_linear(np.clip(np.convolve(pcm, answer)[: len(pcm)], -32_768, 32_767).astype(np.int16).tobytes())
    return [ulaw[n : n + FRAME_BYTES] for n in range(0, len(ulaw), FRAME_BYTES)]


SILENCE = SILENCE_BYTE * FRAME_BYTES
HUSH = [bytes([0xFE, 0x7E] * 80)]


def test_before_anything_is_known_a_poor_line_is_assumed() -> None:
    call = Call()
    assert call.gate.coupling_db == UNKNOWN_DB
    assert not call.hears(speech(12, -40.0))
    assert call.hears(speech(12, -22.0))


def test_on_a_line_without_an_echo_the_softest_caller_is_heard() -> None:
    call = Call()
    call.hears(HUSH * 250)
    assert call.gate.coupling_db < -45
    silent = Call()
    silent.hears([SILENCE] * 60)
    assert silent.gate.coupling_db == LEAST_DB
    assert call.hears(speech(12, -45.0))


def test_an_echo_is_learnt_and_who_is_louder_is_heard() -> None:
    call = Call()
    call.hears(call.echo(300, 26), voiced=True)
    assert -28 < call.gate.coupling_db < -18
    assert not call.hears(speech(12, -42.0))
    assert call.hears(speech(12, -28.0))


def test_an_echo_that_sets_in_is_a_copy_from_its_first_frames_on() -> None:
    call = Call()
    call.hears(HUSH * 250)
    told = []
    for frame in call.echo(150, 20):
        told.append(call.hears([frame], voiced=True))
    assert not any(told[1:]), "the first frame alone may be anything"
    assert call.gate.coupling_db > -22, "and in the seconds after it is learnt"


def test_a_caller_who_talks_through_several_seconds_is_not_learnt_as_an_echo() -> None:
    call = Call()
    call.hears(HUSH * 250)
    known = call.gate.coupling_db
    call.hears(speech(50 * (FOREIGN_SECONDS - 1), -25.0, seed=3), voiced=True)
    assert call.gate.coupling_db == known
    call.hears(speech(50 * 8, -25.0, seed=4), voiced=True)
    assert call.gate.coupling_db > -20, "what never ends is an echo that resembles nothing"


def test_one_loud_second_moves_nothing() -> None:
    call = Call()
    call.hears(HUSH * 250)
    known = call.gate.coupling_db
    call.hears(speech(50, -20.0, seed=3))
    assert abs(call.gate.coupling_db - known) < 1


def test_however_loud_the_echo_a_caller_as_loud_as_the_agent_is_heard() -> None:
    call = Call()
    call.hears(call.echo(300, 2), voiced=True)
    assert call.gate.coupling_db == MOST_DB
    assert call.hears(speech(12, -18.0))


def test_where_the_echo_is_a_copy_a_caller_need_not_be_so_much_louder() -> None:
    faithful, distorted = Call(), Call()
    faithful.hears(faithful.echo(300, 20), voiced=True)
    distorted.hears(speech(50 * (FOREIGN_SECONDS + 6), -40.0, seed=5), voiced=True)
    for call, passes in ((faithful, True), (distorted, False)):
        threshold_db = call.agent.echo_level_db(call.now * 20) + call.gate.coupling_db
        frame = speech(12, -20.0, seed=9)[-1]
        call.history.add(frame)
        call.now += 1
        assert call.gate.passes(threshold_db + 4.5, 12, call.now * 20) is passes


def test_what_was_taken_back_three_times_in_a_row_is_the_agents_own_voice() -> None:
    call = Call()
    call.hears(HUSH * 250)
    assert call.hears(speech(12, -36.0, seed=3))
    call.gate.overlap_resumed()
    assert call.hears(speech(12, -36.0, seed=4)), "a nod"
    call.gate.overlap_resumed()
    assert call.hears(speech(12, -36.0, seed=5))
    call.gate.overlap_resumed()
    assert not call.hears(speech(12, -36.0, seed=6))
    call.hears(HUSH * 250)
    assert call.hears(speech(12, -36.0, seed=7)), "it is over"


def test_an_echo_from_a_room_is_known_once_it_has_stopped_the_agent() -> None:
    call = Call()
    call.hears(HUSH * 250)
    echo = in_a_room(call.echo(STOPPED_FRAMES, 20))
    passed = [call.hears([frame]) for frame in echo]
    assert any(passed), "it is no copy"
    assert call.gate.was_agent(call.now * 20)
    assert call.gate.coupling_db > -20, "learnt at once"
    assert not call.hears(in_a_room(call.echo(STOPPED_FRAMES, 20)))


def test_a_caller_who_has_stopped_the_agent_is_not_the_agent() -> None:
    call = Call()
    call.hears(HUSH * 250)
    known = call.gate.coupling_db
    assert call.hears(speech(STOPPED_FRAMES, -25.0, seed=3))
    assert not call.gate.was_agent(call.now * 20)
    assert call.gate.coupling_db == known


def test_the_known_echo_beneath_a_caller_does_not_count() -> None:
    call = Call()
    call.hears(call.echo(300, 20), voiced=True)
    assert call.hears([*call.echo(STOPPED_FRAMES - 12, 20), *speech(12, -28.0, seed=3)])
    assert not call.gate.was_agent(call.now * 20)


def hears_itself(make_phone: Callable[..., Phone], echo: Callable[[Phone, int], bytes]) -> Phone:
    """A call in which the line carries what `echo` makes of the agent's audio, 20 dB softer, in each of 400 frames."""
    plan = call_plan("Be brief.", TurnModel("gpt-realtime", "alloy", "gpt-4o-mini-transcribe"), idle_gaps_ms=(12_000,))
    says = b"".join(speech(1_500, -20.0, seed=7))
    phone = make_phone(plan, answer_ms=25_000, says=says, deaf=True, confirm=lambda *_: 0.95)
    phone.after(600)
    phone.model.turn_taken()
    phone.after(6_000)
    for n in range(400):
        pcm = np.frombuffer(to_linear(echo(phone, n)), np.int16)
        phone.frames.append(from_linear((pcm * 0.1).astype(np.int16).tobytes()))
        phone.after(20)
    return phone


def test_an_agent_that_hears_itself_from_a_room_goes_on(make_phone: Callable[..., Phone]) -> None:
    """The loudspeaker is turned on in mid-call: however long the echo lasts, it never has the floor, and it stops the agent once."""

    def echo(phone: Phone, _: int) -> bytes:
        heard = phone.carrier.heard_between(phone.world.now - 650, phone.world.now - 150)
        return in_a_room([heard])[-1] if heard else SILENCE

    phone = hears_itself(make_phone, echo)
    phone.after(15_000)
    overlaps = phone.told(BargedIn)
    assert {each.verdict for each in overlaps} == {"resumed"} and overlaps[0].reason == "echo"
    assert len(overlaps) <= 2


def test_what_the_gate_refused_is_told(make_phone: Callable[..., Phone]) -> None:
    def echo(phone: Phone, n: int) -> bytes:
        heard = phone.carrier.heard_between(phone.world.now - 170, phone.world.now - 150) if n % 50 < 20 else b""
        return heard.ljust(FRAME_BYTES, b"\xff")

    phone = hears_itself(make_phone, echo)
    phone.after(1_000)
    refused = phone.told(RefusedOnset)
    assert phone.told(BargedIn) == [] and 4 <= len(refused) <= 8
    assert all(each.until_ms - each.at_ms <= 400 for each in refused) and phone.told(OnsetsRefused) == []


def test_who_is_louder_than_the_agent_is_compared_with_nothing() -> None:
    """No echo is louder than its voice; a comparison costs as much as the detector."""
    call = Call()
    call.hears([SILENCE] * 200)
    asked: list[tuple[int, int]] = []
    recent = call.agent.recent

    def asking(now_ms: int, ms: int) -> bytes:
        asked.append((now_ms, ms))
        return recent(now_ms, ms)

    call.agent.recent = asking  # type: ignore[method-assign]
    assert call.hears(speech(1, -8.0, seed=3)) and not call.gate.was_agent(call.now * 20)
    assert asked == []
    assert call.hears(speech(1, -30.0, seed=3)) and asked


def test_transforms_have_lengths_of_small_factors() -> None:
    for size in (6_879, 12_159, 25_000):
        assert size <= min(each for each in SIZES if each >= size) <= 1.07 * size


def test_while_the_agent_pauses_nothing_is_learnt() -> None:
    call = Call()
    call.agent.frames = [SILENCE] * 2_000
    call.hears(speech(300, -30.0))
    assert call.gate.coupling_db == UNKNOWN_DB


def test_a_copy_resembles_its_original_and_another_voice_does_not() -> None:
    agent, other = b"".join(speech(60, -20.0, seed=1)), b"".join(speech(60, -20.0, seed=2))
    softer = from_linear((np.frombuffer(to_linear(agent), np.int16) // 10).astype(np.int16).tobytes())
    assert min(likeness(softer[20 * 160 : 32 * 160], agent, (12, 4, 2))) > 0.9
    assert likeness(other[20 * 160 : 32 * 160], agent, (12,))[0] < 0.5
    assert likeness(SILENCE * 12, agent, (12,))[0] < 0.1
    assert likeness(agent, b"", (12, 4)) == likeness(b"", agent, (12, 4)) == [0.0, 0.0]
