"""The replay buffer: caller audio that no session has transcribed or answered, for the next one if this one is lost."""

from collections import deque
from typing import Final

from media.core.audio import BYTES_PER_MS, FRAME_MS
from media.core.backlog import Backlog

KEPT_WHILE_SPEAKING: Final = 15_000 * BYTES_PER_MS
KEPT_OTHERWISE: Final = 1_000 * BYTES_PER_MS
#: Extra bytes that are kept, so that audio is not dropped frame by frame.
SURPLUS: Final = 200 * BYTES_PER_MS
MOST_TURNS: Final = 16
NO_VOICE: Final = -1


class ReplayBuffer:
    """The replay buffer of one call: it has a turn's audio until its transcript has come or its response is complete."""

    __slots__ = ("_committed", "_end_ms", "_requested_id", "audio", "voice_ms")

    def __init__(self) -> None:
        self.audio = Backlog()
        # The call's clock at the first voice that is not part of a turn yet.
        self.voice_ms = NO_VOICE
        self._end_ms = 0  # the call's clock at its end
        # Turns without a transcript, and the call's clock at the end of each.
        self._committed: deque[tuple[str, int]] = deque(maxlen=MOST_TURNS)
        # The last committed turn when a response was requested.
        self._requested_id = ""

    def add(self, payload: bytes, at_ms: int, *, voiced: bool, needed: bool) -> None:
        """Add a frame; `needed` while the caller speaks or no session hears the audio."""
        audio = self.audio
        audio.add(payload)
        self._end_ms = at_ms + FRAME_MS
        if voiced and self.voice_ms == NO_VOICE:
            self.voice_ms = at_ms
        if audio.size >= KEPT_OTHERWISE + SURPLUS:
            audio.trim(KEPT_WHILE_SPEAKING if needed or self._committed else KEPT_OTHERWISE)
            if self.voice_ms != NO_VOICE and self.voice_ms < self.begins_ms:
                # If not needed, the voice was noise.
                self.voice_ms = self.begins_ms if needed else NO_VOICE

    @property
    def begins_ms(self) -> int:
        """The call's clock at the beginning of the buffer."""
        return max(0, self._end_ms - self.audio.size // BYTES_PER_MS)

    def turn_detected(self) -> None:
        """Record that the server has detected the voice as a turn."""
        self.voice_ms = NO_VOICE

    def turn_committed(self, turn_id: str) -> None:
        """Record a committed turn with a pending transcript."""
        self.voice_ms = NO_VOICE
        self._committed.append((turn_id, self._end_ms))

    def release_turn(self, turn_id: str) -> None:
        """Drop the audio up to the end of a turn that is transcribed or answered."""
        for index, (committed_id, end_ms) in enumerate(self._committed):
            if committed_id == turn_id:
                for _ in range(index + 1):
                    self._committed.popleft()
                # The carrier's clock may jump.
                self.audio.trim(max(0, self._end_ms - end_ms) * BYTES_PER_MS)
                return

    def response_requested(self) -> None:
        """Record that a response to all committed turns was requested."""
        self._requested_id = self._committed[-1][0] if self._committed else ""

    def response_complete(self) -> None:
        """Drop the audio that the complete response covers."""
        self.release_turn(self._requested_id)

    def reopen(self, *, speaking: bool) -> None:
        """Return all turns to the buffer, with the open one if `speaking`: the next session detects them again."""
        if speaking or self._committed:
            self.voice_ms = self.begins_ms
        self._committed.clear()

    @property
    def owed(self) -> bool:
        """Whether there is a turn for the next session to detect."""
        return self.voice_ms != NO_VOICE
