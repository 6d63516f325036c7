"""The gate against the agent's own voice, which comes back from the caller's handset, later and softer.

How much softer is a property of the line, its *coupling*, and is learnt from the call: for each second in which the agent was heard,
by how much the line's loudest frame was below the agent's loudest message.  Where there is no echo, that is the line's noise.  The
median of the last seconds counts: an echo is in all of them, a nod in one.  An onset must be louder than the agent plus coupling.

An echo may set in during a call, when the caller turns on the loudspeaker, and for the first seconds nothing is known of it.  So an
onset that is louder is also compared with what the agent said: a copy of it is an echo, and tells the coupling at once.  A voice that is
no copy is the caller's, and what they say over an agent that they can't stop, or too softly, is not learnt as an echo; unless it
never ends, since a line may distort an echo until it resembles nothing.
"""

from typing import Final, Protocol

import numpy as np

from media.core.audio import FRAME_BYTES, FRAME_MS, SILENT_DB, to_linear
from media.core.backlog import Backlog

# Where a source is given as "echoes", it is the table of that name in docs/benchmarks/vad.md.

#: How long after it was played an echo may come, beside the round trip to the carrier (ITU-T G.131: one-way delays up to 400 ms).
ECHO_SPAN_MS: Final = 400.0
#: Relative to the agent's loudest message, before anything is known: ITU-T G.122's echo loss of a poor line.
UNKNOWN_DB: Final = -20.0
#: No line is better than its quantization, and callers 8 dB softer than the agent are heard on the worst.
LEAST_DB: Final = -60.0
MOST_DB: Final = -14.0
#: By how much an onset must be louder than the echo; its loudest frames vary by 3 to 5 dB from second to second.
MARGIN_DB: Final = 6.0
SECOND_FRAMES: Final = 50
NOTHING_DB: Final = SILENT_DB - 1.0
SECONDS: Final = 5
#: Messages of the agent below this are pauses, which tell nothing about the line.
AGENT_DB: Final = -50.0
#: Seconds of another voice in a row that are not learnt: nobody talks for longer at an agent that does not stop.
FOREIGN_SECONDS: Final = 5
#: How many of the line's newest frames are compared, and from which likeness on they are a copy ("likeness").  The longer, the less
#: another voice resembles the agent's by chance; but an echo that has just set in is in the newest only.
COPIES: Final = ((12, 0.6), (4, 0.62), (2, 0.75))
#: The same while a sound is no longer than that: in doubt it waits for the next frame.
YOUNG_FRAMES: Final = 2
YOUNG_COPIES: Final = ((12, 0.6), (2, 0.5))
#: The same for a second with a voice: a line's codec and a room leave less of the likeness, and the time is longer.
SECOND_COPY: Final = ((32, 0.35),)
#: Frames from one comparison to the next, while the same sound is taken for an echo: each takes 0.3 ms.
AGAIN_FRAMES: Final = 2


class Played(Protocol):
    """What the agent played."""

    def echo_level_db(self, now_ms: float) -> float:
        """Return the level of its loudest message of which an echo may be coming back now."""

    def recent(self, now_ms: float, ms: float) -> bytes:
        """Return the audio of which an echo may be coming back in these `ms` up to now."""


def likeness(line: bytes, played: bytes) -> float:
    """Return how much the line resembles what was played somewhere, 0 to 1: the normalized cross-correlation.

    Of differences from sample to sample: voices differ less in their low frequencies.  Both are mu-law, `played` the longer one.
    """
    new = np.diff(np.frombuffer(to_linear(line), np.int16).astype(np.float64))
    old = np.diff(np.frombuffer(to_linear(played), np.int16).astype(np.float64))
    lags = len(old) - len(new) + 1
    if lags < 1 or not len(new):
        return 0.0
    # What wraps around falls on later lags than these.  Multiples of 160 are products of small primes.
    size = -(-len(old) // FRAME_BYTES) * FRAME_BYTES
    alike = np.fft.irfft(np.fft.rfft(old, size) * np.conj(np.fft.rfft(new, size)), size)[:lags]
    energy = np.zeros(len(old) + 1)
    np.cumsum(old * old, out=energy[1:])
    # A sample of noise in each keeps silence from resembling silence.
    there = energy[len(new) :] - energy[: -len(new)] + len(new)
    return float(np.abs(alike / np.sqrt(there * (float(new @ new) + len(new)))).max())


class EchoGate:
    """Learns one line's coupling, and judges onsets by it."""

    __slots__ = (
        "_copy_frames",
        "_foreign",
        "_frames",
        "_history",
        "_loudest_db",
        "_loudest_ms",
        "_played",
        "_seconds",
        "_voice",
    )

    def __init__(self, played: Played, history: Backlog) -> None:
        """`history` has the line's newest frames."""
        self._played, self._history = played, history
        self._seconds: list[float] = []  # the coupling in each of the last
        self._frames = 0  # of this second
        self._loudest_db, self._loudest_ms = NOTHING_DB, 0.0
        self._voice = False  # whether there was one in it
        self._foreign = 0  # seconds in a row with a voice that was not the agent's
        self._copy_frames = 0  # for which a sound still counts as a copy

    @property
    def coupling_db(self) -> float:
        """The line's echo relative to the agent, as far as it is known."""
        seconds = sorted(self._seconds)
        if not seconds:
            return UNKNOWN_DB
        return min(MOST_DB, max(LEAST_DB, seconds[len(seconds) // 2]))

    def frame(self, level_db: float, now_ms: float, *, voiced: bool) -> None:
        """Learn from 20 ms of the line while the agent is heard."""
        if level_db > self._loudest_db:
            self._loudest_db, self._loudest_ms = level_db, now_ms
        self._voice |= voiced
        self._copy_frames = max(0, self._copy_frames - 1)
        self._frames += 1
        if self._frames >= SECOND_FRAMES:
            self._learn(now_ms)
            self._frames, self._loudest_db, self._voice = 0, NOTHING_DB, False

    def _learn(self, now_ms: float) -> None:
        played_db = self._played.echo_level_db(self._loudest_ms)
        if played_db < AGENT_DB:
            return
        coupling_db = self._loudest_db - played_db
        if self._voice and coupling_db > self.coupling_db and not self._is_copy(SECOND_COPY, now_ms):
            self._foreign += 1
            if self._foreign < FOREIGN_SECONDS:
                return
        else:
            self._foreign = 0
        self._seconds.append(coupling_db)
        del self._seconds[:-SECONDS]

    def passes(self, level_db: float, loud_frames: int, now_ms: float) -> bool:
        """Return whether an onset, which has been loud for so many frames, is not an echo of the agent."""
        played_db = self._played.echo_level_db(now_ms)
        if level_db < played_db + self.coupling_db + MARGIN_DB or self._copy_frames:
            return False
        if played_db < AGENT_DB or not self._is_copy(COPIES if loud_frames > YOUNG_FRAMES else YOUNG_COPIES, now_ms):
            return True
        self._copy_frames = AGAIN_FRAMES
        return False

    def _is_copy(self, copies: tuple[tuple[int, float], ...], now_ms: float) -> bool:
        """Return whether the newest of one of these numbers of frames resembles what was played so much."""
        for frames, least in copies:
            if likeness(self._history.newest(frames), self._played.recent(now_ms, frames * FRAME_MS)) >= least:
                return True
        return False
