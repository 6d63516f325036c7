"""The sound of one call as it happens, in pieces of both sides, for whoever listens.

A piece is sent once the other side's sound of the same moment has come, too: what the agent said is known a little later
than what the caller says, since it counts when it is heard.  What comes later still is missing; the clock goes on.
"""

from typing import Protocol

from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.core.audio import BYTES_PER_MS, interleave, to_linear
from media.core.types import RecordAgent, RecordCaller
from media.recorder import Track

PIECE_BYTES = 100 * BYTES_PER_MS
AHEAD_BYTES = 1_000 * BYTES_PER_MS  # the agent's side is this far ahead when the caller's has failed


class Listener(Protocol):
    def put(self, sound: pb.Sound) -> None:
        """Send it; never waits."""

    def finish(self) -> None:
        """Nothing follows."""


class Tap:
    def __init__(self, delay_ms: float) -> None:
        self.listeners: list[Listener] = []
        self._delay = round(delay_ms) * BYTES_PER_MS
        self._sent = -1  # mu-law bytes since 0 ms; nothing has come yet
        self._left, self._right = Track(), Track()

    def sound(self, sound: RecordCaller | RecordAgent) -> None:
        at = sound.at_ms * BYTES_PER_MS
        if self._sent < 0:
            self._sent, self._left, self._right = at, Track(at), Track(at)
        if isinstance(sound, RecordCaller):
            self._put(self._left, sound)
        else:
            self._put(self._right, sound)
        due = max(self._left.end, self._right.end - AHEAD_BYTES) - self._delay
        if due - self._sent >= PIECE_BYTES:
            self._send(due - due % BYTES_PER_MS)

    def finish(self) -> None:
        """The call's stream is over."""
        self._send(max(self._left.end, self._right.end))
        for listener in self.listeners:
            listener.finish()

    def _put(self, track: Track, sound: RecordCaller | RecordAgent) -> None:
        late = min(len(sound.payload), track.start - sound.at_ms * BYTES_PER_MS)
        if late > 0:
            metrics.UNHEARD_BYTES.labels("late").inc(late)
        track.put(sound.payload, sound.at_ms)

    def _send(self, end: int) -> None:
        if self._sent < 0 or end <= self._sent:
            return
        pcm = to_linear(interleave(self._left.take(end), self._right.take(end)))
        piece = pb.Sound(at_ms=self._sent // BYTES_PER_MS, pcm=pcm)
        self._sent = end
        for listener in self.listeners:
            listener.put(piece)
