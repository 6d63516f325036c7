"""The live sound of one call for its listeners, in pieces of both sides.

A piece is sent with a delay, so that both sides' sound of the same moment is in it: the agent's audio is known a little later
than the caller's, since it counts only once it is heard.  Audio that comes later than the delay is missing from the stream.
"""

from typing import Protocol

from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.core.audio import BYTES_PER_MS, interleave, to_linear
from media.core.types import RecordAgent, RecordCaller
from media.recorder import Track

PIECE_BYTES = 100 * BYTES_PER_MS
#: If the agent's side is this far ahead, the caller's audio has stopped, and pieces are sent without it.
AHEAD_BYTES = 1_000 * BYTES_PER_MS


class SoundListener(Protocol):
    """The receiver of a call's live sound."""

    def put(self, sound: pb.Sound) -> None:
        """Queue a piece; never block."""

    def finish(self) -> None:
        """End the stream after the queued pieces."""


class Tap:
    """The splitter of one call's sound into pieces for its listeners."""

    def __init__(self, delay_ms: float) -> None:
        self.listeners: list[SoundListener] = []
        self._delay = round(delay_ms) * BYTES_PER_MS
        self._sent = -1  # mu-law bytes since 0 ms; -1: none yet
        self._left, self._right = Track(), Track()

    def sound(self, sound: RecordCaller | RecordAgent) -> None:
        """Add sound of one side; send the pieces that are due."""
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
        """Send the rest, and end all listeners' streams."""
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
