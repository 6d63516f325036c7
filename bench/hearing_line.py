"""One caller's line while the agent speaks, in virtual time: the detector, the echo gate and barge-in as `floor` joins them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from media.core.audio import FRAME_MS, SILENT_DB, pcm_level_db
from media.core.bargein import BargeIn, Verdict
from media.core.echo import ECHO_SPAN_MS
from media.core.onsetgate import OnsetGate
from media.core.vad import Vad
from media.io.silero import Silero
from tests.support import sounds
from tests.support.sounds import FRAME, Wave

#: Approximate length of the messages of the agent's audio; the gate compares the level of each.
MESSAGE_FRAMES = 5
ROUND_TRIP_MS = 80.0  # to the carrier and back
SPAN_FRAMES = round(ECHO_SPAN_MS + ROUND_TRIP_MS) // FRAME_MS  # how far the gate looks back
SILENCE = np.zeros(FRAME)
ROOM_FRAMES = 15
CLIPPED = 0.08


@dataclass(frozen=True, slots=True)
class EchoPath:
    """The agent's voice in the caller's audio, `loss_db` quieter and `late_ms` later, from `after_seconds` on.

    In a room it reverberates for 0.3 s, and the direct sound is `direct_db` louder than the rest.  A clipped echo comes from a loudspeaker
    that distorts levels above -22 dBFS.
    """

    loss_db: float
    late_ms: float = 150.0
    after_seconds: float = 0.0
    direct_db: float | None = None
    clipped: bool = False

    def sound(self, played: Sequence[Wave]) -> Wave:
        """Return the newest frame of the echo of these frames."""
        sound = np.concatenate(played) if self.direct_db is not None else played[-1]
        if self.clipped:
            sound = np.clip(sound, -CLIPPED, CLIPPED) * 1.6
        if self.direct_db is not None:
            response = room(self.direct_db)
            sound = np.convolve(np.concatenate((np.zeros(len(response)), sound)), response, "valid")[-FRAME:]
        return sound * 10 ** (-self.loss_db / 20)


@cache
def room(direct_db: float) -> Wave:
    """Return a room's impulse response."""
    at = np.arange(ROOM_FRAMES * FRAME)
    late = np.random.default_rng(1).standard_normal(len(at)) * np.exp(-6.9 * at / len(at))
    late[0] = 10 ** (direct_db / 20) * np.sqrt((late[1:] ** 2).sum())
    response: Wave = late / np.sqrt((late**2).sum())
    return response


@dataclass(slots=True)
class Reactions:
    """The agent's reactions, in seconds of the line's audio."""

    clears: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)


class Agent:
    """An agent that speaks without end unless cleared, and records its playout."""

    def __init__(self, says: Wave) -> None:
        self.says = says
        self._at = 0
        self.played: list[Wave] = []

    def frame(self, *, held: bool) -> None:
        if held:
            self.played.append(SILENCE)
            return
        if self._at + FRAME > len(self.says):
            self._at = 0
        self.played.append(self.says[self._at : self._at + FRAME])
        self._at += FRAME

    def echo(self, echo: EchoPath) -> Wave:
        """Return the echo in the newest frame."""
        now = len(self.played)
        late = round(echo.late_ms / FRAME_MS)
        if now * FRAME_MS < echo.after_seconds * 1000 or now <= late:
            return SILENCE
        return echo.sound(self.played[max(0, now - late - ROOM_FRAMES - 1) : now - late])

    def echo_level_db(self, now_ms: float) -> float:
        """Return the level of the recent playout, as `echo.Played` requires; time begins with the first frame."""
        now = round(now_ms / FRAME_MS)
        recent = self.played[max(0, now - SPAN_FRAMES) : now]
        messages = [np.concatenate(recent[n : n + MESSAGE_FRAMES]) for n in range(0, len(recent), MESSAGE_FRAMES)]
        return max((_level_db(message) for message in messages), default=SILENT_DB)

    def recent(self, now_ms: float, ms: float) -> bytes:
        """Return the recent playout, as `echo.Played` requires."""
        now = round(now_ms / FRAME_MS)
        return sounds.ulaw(np.concatenate(self.played[max(0, now - SPAN_FRAMES - round(ms / FRAME_MS)) : now]))


def _level_db(wave: Wave) -> float:
    return pcm_level_db((wave * 32_767).astype(np.int16).tobytes())


class SimulatedCaller:
    """A caller over an agent that says `says`, and is silent for `rest_seconds` after a cut."""

    def __init__(self, says: Wave, silero: Silero, echo: EchoPath | None = None, *, rest_seconds: float = 0.0) -> None:
        self.agent, self._echo = Agent(says), echo
        self._rest_frames, self._resting = round(rest_seconds * 1000 / FRAME_MS), 0
        self._vad, self._bargein = Vad(silero.detector()), BargeIn()
        self._gate = OnsetGate(self.agent, self._vad.history, lambda _: None)
        self._frames = 0
        self.reactions = Reactions()

    @property
    def seconds(self) -> float:
        return self._frames * FRAME_MS / 1000

    def play(self, wave: Wave) -> Reactions:
        """Play the caller's sound, with the echo added; return the agent's reactions so far."""
        for begin in range(0, len(wave) // FRAME * FRAME, FRAME):
            self._frame(wave[begin : begin + FRAME])
        return self.reactions

    def take_turn(self, wave: Wave) -> None:
        """Play the caller's sound while the agent is silent."""
        for begin in range(0, len(wave) // FRAME * FRAME, FRAME):
            self._turn_frame(wave[begin : begin + FRAME])

    def _turn_frame(self, said: Wave) -> None:
        self.agent.frame(held=True)
        self._frames += 1
        voiced, _ = self._vad.caller_frame(sounds.ulaw(said), False)
        if voiced:
            self._gate.turn_frame(self._vad.level_db)

    def _frame(self, said: Wave) -> None:
        if self._resting:
            self._resting -= 1
            self._turn_frame(said)
            return
        bargein = self._bargein
        self.agent.frame(held=bargein.undecided)
        line = said if self._echo is None else said + self.agent.echo(self._echo)
        self._frames += 1
        match self._judge(sounds.ulaw(line)):
            case Verdict.CLEAR:
                self.reactions.clears.append(self.seconds)
            case Verdict.CUT if not self._gate.echo.was_agent(self._frames * FRAME_MS):
                self.reactions.cuts.append(self.seconds)
                self._resting = self._rest_frames
            case Verdict.RESUME if not self._gate.echo.was_agent(self._frames * FRAME_MS):
                self._gate.echo.overlap_resumed()
            case _:
                pass

    def _judge(self, ulaw: bytes) -> Verdict | None:
        voiced, onset = self._vad.caller_frame(ulaw, True)
        vad, now_ms, overlap = self._vad, self._frames * FRAME_MS, self._bargein.undecided
        self._gate.frame(vad.level_db, now_ms, loud=vad.loud_frames > 0, voiced=voiced, overlap=overlap)
        if not overlap:
            onset = onset and self._gate.passes(vad.level_db, vad.loud_frames, now_ms, now_ms, vad.why)
        return self._bargein.caller_frame(onset, voiced, True, FRAME_MS, now_ms)


def joined(waves: Sequence[Wave], level_db: float) -> Wave:
    """Return sentences one after another, each at the same level, with short pauses."""
    return np.concatenate([np.concatenate((sounds.at_level(wave, level_db), sounds.silence(0.25))) for wave in waves])
