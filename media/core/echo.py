"""The echo gate: whether an onset over the agent is the agent's own voice, back from the caller's handset.

It comes back later and softer.  How much softer is a property of the line, its *coupling*, and is learned from the
call: for each second in which the agent was heard, how far the line's loudest frame was below the agent's loudest
message.  Without an echo, that is the line's noise.  The median of the last seconds counts: an echo is in all of
them, a backchannel in one.  An onset must be louder than the agent plus the coupling.

An echo may set in during a call, when the caller turns on the loudspeaker, and for the first seconds nothing is
known of it.  So an onset that is louder, but no louder than the agent, is also compared with what the agent said: a
copy of it is an echo.  A voice that is no copy is the caller's.  What callers say over an agent that they can't
stop, or too softly, is not learned as an echo, unless it lasts for FOREIGN_SECONDS, since a line may distort an echo
beyond recognition.

An echo that passes silences the agent.  When the verdict on the overlap is due, there is a second of sound to
compare, in which a room or a clipped loudspeaker leaves a likeness that no caller has: the onset was *the agent
itself*, which resumes, and its coupling is known from then on.  An echo that is distorted even more is learned each
time the agent resumes, like a second, so the third such overlap in a row is the last.  Where the echo is *faithful*,
a copy tells it from a caller, who need not be so much louder.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from media.core.audio import FRAME_BYTES, FRAME_MS, SILENT_DB, level_db, to_linear
from media.core.backlog import Backlog

Floats = npt.NDArray[np.float32]

# Where a source is given as "echoes", it is the table of that name in docs/benchmarks/vad.md.

#: Longest delay of an echo, beside the round trip to the carrier (ITU-T G.131: one-way delays up to 400 ms).
ECHO_SPAN_MS: Final = 400.0
#: Relative to the agent's loudest message, before anything is known: ITU-T G.122's echo loss of a poor line.
UNKNOWN_DB: Final = -20.0
#: No line is better than its quantization, and callers 8 dB softer than the agent are heard on the worst.
LEAST_DB: Final = -60.0
MOST_DB: Final = -14.0
#: By how much an onset must be louder than the echo; its loudest frames vary by 3 to 5 dB from second to second.
MARGIN_DB: Final = 6.0
#: The same where the echo is faithful: a copy is refused however loud.  With 3 everywhere, an echo with reverberation clears two to ten
#: times as often ("echoes that are no copies").
FAITHFUL_MARGIN_DB: Final = 3.0
SECOND_FRAMES: Final = 50
NOTHING_DB: Final = SILENT_DB - 1.0
SECONDS: Final = 5
#: Messages of the agent below this are pauses: no evidence about the line.
AGENT_DB: Final = -50.0
#: Seconds of another voice in a row that are not learned: no caller talks for longer at an agent that does not stop.
FOREIGN_SECONDS: Final = 5
#: Numbers of the line's newest frames to compare, and the likeness from which on they are a copy ("likeness").  The longer, the less
#: another voice resembles the agent's by chance; but an echo that has just set in is in the newest only.
COPIES: Final = ((12, 0.6), (4, 0.62), (2, 0.75))
#: The same while a sound is no longer than YOUNG_FRAMES: in doubt it waits for the next frame.
YOUNG_FRAMES: Final = 2
YOUNG_COPIES: Final = ((12, 0.6), (2, 0.5))
#: The same for a second with a voice: a line's codec and a room leave less of the likeness, and the time is longer.
COMPARED_FRAMES: Final = 32
SECOND_COPY: Final = 0.35
#: Frames to compare once a sound has silenced the agent, the likeness from which on it was the agent itself, and how far above the
#: coupling it must have been: else the line's known echo beneath a caller would count ("echoes").
STOPPED_FRAMES: Final = 48
STOPPED_COPY: Final = 0.3
STOPPED_DB: Final = 15.0
#: No echo is louder than its voice: ITU-T G.168 assumes at least 6 dB less.  A sound above this level is not compared.
LOUDEST_DB: Final = 0.0
#: Likeness of a second from which on the echo is faithful: a copy will tell it from a caller ("echoes").
FAITHFUL: Final = 0.8
#: Relative to the agent: callers are louder than a fainter echo, however it sounds.
FAINT_DB: Final = -25.0
#: Frames from one comparison to the next, while the same sound counts as an echo: each takes 0.3 ms.
AGAIN_FRAMES: Final = 2

#: Lengths of transforms.  One of 6,880 samples, 43 times 160, takes a third longer than one of 6,912.
SIZES: Final = sorted(
    2**twos * 3**threes * 5**fives for twos in range(5, 15) for threes in range(4) for fives in range(4)
)


class Played(Protocol):
    """The agent's audio, as it was played."""

    def echo_level_db(self, now_ms: float) -> float:
        """Return the level of its loudest message that may be echoing now."""

    def recent(self, now_ms: float, ms: float) -> bytes:
        """Return the audio that may be echoing in these `ms` up to now."""


def likeness(line: bytes, played: bytes, frames: tuple[int, ...]) -> list[float]:
    """Return how much the line's newest frames resemble what was played, 0 to 1, for each of these numbers of frames.

    The measure is the normalized cross-correlation of differences from sample to sample: voices differ less in their
    low frequencies.  Both are mu-law; `line` has as many frames as the first number, the largest, and `played` is
    longer.  The best lag counts.
    """
    new, old = _differences(line), _differences(played)
    if len(old) < len(new) or not len(new):
        return [0.0] * len(frames)
    # What wraps around falls on other lags than these.
    at = bisect_left(SIZES, len(old))
    size = SIZES[at] if at < len(SIZES) else len(old)
    spectrum = np.fft.rfft(old, size)
    energy = np.zeros(len(old) + 1)
    np.cumsum(old * old, out=energy[1:])
    longest, results = len(new), []
    for count in frames:
        new = new[max(0, len(new) - count * FRAME_BYTES + 1) :]
        # Fewer frames are compared with no older audio than more frames are.
        first, end = longest - len(new), len(old) - len(new) + 1
        alike = np.fft.irfft(spectrum * np.conj(np.fft.rfft(new, size)), size)[first:end]
        # A sample of noise in each keeps silence from resembling silence.
        power = energy[len(new) + first :] - energy[first : -len(new)] + len(new)
        results.append(float(np.abs(alike / np.sqrt(power * (float(new @ new) + len(new)))).max()))
    return results


def _differences(ulaw: bytes) -> Floats:
    samples = np.frombuffer(to_linear(ulaw), np.int16).astype(np.float32)
    return samples[1:] - samples[:-1]  # `np.diff` takes 5 us more


@dataclass(slots=True)
class _Second:
    """Evidence from one second of the line, so far."""

    loudest_ms: float
    loudest_db: float = NOTHING_DB
    frames: int = 0
    has_voice: bool = False


class EchoGate:
    """Learns one line's coupling, and judges onsets by it."""

    __slots__ = (
        "_copy_frames",
        "_foreign",
        "_history",
        "_is_faithful",
        "_passed",
        "_played",
        "_second",
        "_seconds",
    )

    def __init__(self, played: Played, history: Backlog) -> None:
        """Create the gate of a line; `history` has the line's newest frames."""
        self._played, self._history = played, history
        self._second = _Second(0.0)
        self._seconds: list[float] = []  # coupling in each of the last seconds
        # Seconds in a row with a voice that was not the agent's.
        self._foreign = 0
        # Whether a second of the agent's alone resembled it.
        self._is_faithful = False
        # The last onset that passed, relative to the agent, and the agent's level then.
        self._passed = UNKNOWN_DB, SILENT_DB
        self._copy_frames = 0  # for which a sound still counts as a copy

    @property
    def coupling_db(self) -> float:
        """The level of the line's echo relative to the agent, as far as it is known."""
        seconds = sorted(self._seconds)
        if not seconds:
            return UNKNOWN_DB
        return min(MOST_DB, max(LEAST_DB, seconds[len(seconds) // 2]))

    def frame(self, level_db: float, now_ms: float, *, voiced: bool) -> None:
        """Learn from 20 ms of the line while the agent is heard."""
        second = self._second
        if level_db > second.loudest_db:
            second.loudest_db, second.loudest_ms = level_db, now_ms
        second.has_voice |= voiced
        self._copy_frames = max(0, self._copy_frames - 1)
        second.frames += 1
        if second.frames >= SECOND_FRAMES:
            self._learn(now_ms)
            self._second = _Second(now_ms)

    def _learn(self, now_ms: float) -> None:
        second = self._second
        played_db = self._played.echo_level_db(second.loudest_ms)
        if played_db < AGENT_DB:
            return
        coupling_db = second.loudest_db - played_db
        is_foreign = False
        if second.has_voice and (coupling_db > self.coupling_db or (coupling_db > FAINT_DB and not self._is_faithful)):
            (alike,) = self._likeness((COMPARED_FRAMES,), now_ms)
            self._is_faithful |= alike >= FAITHFUL
            is_foreign = coupling_db > self.coupling_db and alike < SECOND_COPY
        self._foreign = self._foreign + 1 if is_foreign else 0
        if is_foreign:
            if self._foreign < FOREIGN_SECONDS:
                return
            self._is_faithful = False
        self._seconds.append(coupling_db)
        del self._seconds[:-SECONDS]

    def passes(self, level_db: float, loud_frames: int, now_ms: float) -> bool:
        """Return whether an onset, which has been loud for this many frames, is not an echo of the agent."""
        played_db = self._played.echo_level_db(now_ms)
        coupling_db = self.coupling_db
        margin_db = FAITHFUL_MARGIN_DB if self._is_faithful and coupling_db > FAINT_DB else MARGIN_DB
        if level_db < played_db + coupling_db + margin_db or self._copy_frames:
            return False
        self._passed = level_db - played_db, played_db
        if played_db < AGENT_DB or level_db >= played_db + LOUDEST_DB:
            return True
        if not self._is_copy(COPIES if loud_frames > YOUNG_FRAMES else YOUNG_COPIES, now_ms):
            return True
        self._copy_frames = AGAIN_FRAMES
        return False

    def was_agent(self, now_ms: float) -> bool:
        """Return whether the onset that passed last was the agent; learn its coupling if so.

        Called when the verdict on the overlap is due, when there is more of the sound.
        """
        passed_db, over_db = self._passed
        if over_db < AGENT_DB or not self.coupling_db + STOPPED_DB <= passed_db < LOUDEST_DB:
            return False
        (alike,) = self._likeness((STOPPED_FRAMES,), now_ms)
        if alike < STOPPED_COPY:
            return False
        heard = self._history.newest(STOPPED_FRAMES)
        loudest_db = max(level_db(heard[at : at + FRAME_BYTES]) for at in range(0, len(heard), FRAME_BYTES))
        self._seconds = [loudest_db - over_db] * SECONDS
        return True

    def overlap_resumed(self) -> None:
        """Learn from the verdict "resume" that the onset that passed last did not take the floor.

        An agent that hears its echo is silenced, then hears no echo, and resumes, again and again: three times in a
        row are its echo, even if it resembles nothing.  A backchannel in five seconds moves no median.
        """
        self._seconds.append(self._passed[0])
        del self._seconds[:-SECONDS]

    def _is_copy(self, copies: tuple[tuple[int, float], ...], now_ms: float) -> bool:
        """Return whether the newest frames are a copy of what was played, by any of these (frames, likeness)."""
        alike = self._likeness(tuple(frames for frames, _ in copies), now_ms)
        return any(value >= least for value, (_, least) in zip(alike, copies, strict=True))

    def _likeness(self, frames: tuple[int, ...], now_ms: float) -> list[float]:
        return likeness(self._history.newest(frames[0]), self._played.recent(now_ms, frames[0] * FRAME_MS), frames)
