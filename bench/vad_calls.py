"""Whole conversations with sounds that are not speech: which are cleared and resumed, which are cut, which get stuck."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from media.core.audio import FRAME_MS, to_linear
from media.core.modelmessages import TurnModel
from media.core.onsetdetector import Confirm
from media.core.types import BargedIn
from media.io.silero import Silero
from tests.support import sounds
from tests.support.plans import call_plan
from tests.support.simulation import Phone, World
from tests.support.sounds import RATE_HZ, Prompt, Wave

PLAN = call_plan("Be brief.", TurnModel("gpt-realtime", "alloy", "gpt-4o-mini-transcribe"), idle_gaps_ms=(12_000,))
ANSWER_MS = 60_000
#: Silence of the agent before it is made to speak again.
REST_MS = 500.0
#: Time after the last sound from which the caller must not count as speaking.
STUCK_MS = 400.0
DETECTORS = WITH_SILERO, _ = ("hearing", "without Silero")
ECHOES = tuple((loss_db, late_ms) for loss_db in (20, 26, 32) for late_ms in (50, 150, 400))


@dataclass(frozen=True, slots=True)
class Overlaps:
    sound: str
    detector: str
    seconds: float
    cleared: int  # and resumed
    cut: int
    cleared_per_hour: float
    cut_per_hour: float
    stuck: int


class SimulatedPhone:
    """A phone whose agent never stops for long, and whose caller is a sound."""

    def __init__(self, says: bytes, confirm: Confirm | None) -> None:
        self.world = World()
        self.phone = Phone(self.world, PLAN, confirm=confirm, answer_ms=ANSWER_MS, says=says, deaf=True)
        self.phone.after(600)
        self._silent_ms = 0.0
        self.stuck = 0
        self.seconds = 0.0

    def play(self, frames: Sequence[bytes]) -> None:
        """Play all frames, then silence, after which the caller must not count as speaking."""
        for begin in range(0, len(frames), 5):
            self.phone.frames += frames[begin : begin + 5]
            self._pass(5 * FRAME_MS)
        self._pass(STUCK_MS)
        self.stuck += self._speaking()
        self.seconds += len(frames) * FRAME_MS / 1000

    def echo(self, seconds: float, loss_db: float, late_ms: float) -> None:
        """Play the echo of the agent on the caller's line."""
        for _ in range(round(seconds * 1000 / FRAME_MS)):
            now, late = self.world.now, late_ms
            playout = self.phone.carrier.heard_between(now - late - FRAME_MS, now - late)
            pcm = np.frombuffer(to_linear(playout), np.int16) / 32_768
            self.phone.frames.append(sounds.ulaw(pcm * 10 ** (-loss_db / 20)))
            self._pass(FRAME_MS)
        self._pass(STUCK_MS)
        self.stuck += self._speaking()
        self.seconds += seconds

    def _pass(self, ms: float) -> None:
        self.phone.after(ms)
        self._silent_ms = 0.0 if self._agent_audible() else self._silent_ms + ms
        if self._silent_ms >= REST_MS:
            self._silent_ms = -1_000.0
            self.phone.model.turn_taken()

    def _agent_audible(self) -> bool:
        return self.phone.talk._voice.playout.audible(self.world.now)  # noqa: SLF001

    def _speaking(self) -> bool:
        talk = self.phone.talk
        return talk._floor.vad.speaking or talk._floor._bargein.undecided  # noqa: SLF001

    def told(self, sound: str, detector: str) -> Overlaps:
        # An interruption is reported when its turn has ended.
        self.phone.carrier.stop()
        self.phone.after(200)
        verdicts = [barge_in.verdict for barge_in in self.phone.told(BargedIn)]
        cleared, cut = verdicts.count("resumed"), verdicts.count("cut")
        hours = self.seconds / 3600
        return Overlaps(sound, detector, self.seconds, cleared, cut, cleared / hours, cut / hours, self.stuck)


def lines(seconds: float) -> Iterator[tuple[str, Wave]]:
    yield "white noise, -30 dBFS", sounds.white(seconds, -30)
    yield "pink noise, -25 dBFS", sounds.pink(seconds, -25)
    yield "DTMF, -20 dBFS", sounds.dtmf(seconds, -20)
    yield "ringback, -20 dBFS", sounds.ringback(seconds, -20)
    yield "beeps, -20 dBFS", sounds.beeps(seconds, -20)
    yield "line hum, -30 dBFS", sounds.hum(seconds, -30)
    yield "clicks, -15 dBFS", sounds.clicks(seconds, -15)
    yield "cough-like bursts, -22 dBFS", sounds.coughs(seconds, -22)
    size = round(seconds * RATE_HZ)
    yield "hold music", np.concatenate([track[:size] for track in sounds.music().values()])
    if other := sounds.other_music(seconds):
        yield "music of another kind, held out", np.concatenate(list(other.values()))


def measure(seconds: float, voices: Sequence[Prompt], silero: Silero) -> list[Overlaps]:
    """Run one call of `seconds` for each sound, with Silero and without."""
    says = sounds.ulaw(np.concatenate([voice.wave for voice in voices]))
    rows = []
    for detector in DETECTORS:
        for sound, wave in lines(seconds):
            line = SimulatedPhone(says, silero.detector() if detector == WITH_SILERO else None)
            line.play(sounds.frames(wave))
            rows.append(line.told(sound, detector))
        for loss_db, late_ms in ECHOES:
            line = SimulatedPhone(says, silero.detector() if detector == WITH_SILERO else None)
            line.echo(seconds / len(ECHOES), loss_db, late_ms)
            rows.append(line.told(f"the agent's echo at -{loss_db} dB, {late_ms} ms late", detector))
    return rows
