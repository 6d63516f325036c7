"""The server's turn detection: a detector of voice with onset and hangover, on the clock of the audio itself.  Pure.

States: no turn, and a turn in progress.  `onset_ms` of loud frames begin a turn, `silence_ms` of quiet ones end it.
Example with an onset of 60 ms, a silence of 500 ms and a prefix of 300 ms: speech from 1000 to 2000 ms begins a turn at 1060 ms whose
start is 700 ms, and ends it at 2500 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from realtime.audio import Samples
from realtime.codec import Codec
from realtime.errors import Refusal
from realtime.ids import NewId, new_id
from realtime.sound import level_dbfs

FRAME_MS = 20
MIN_COMMIT_MS = 100


@dataclass(frozen=True, slots=True)
class Detection:
    """The session's settings: speech ends after `silence_ms`, and includes `prefix_ms` before its onset."""

    silence_ms: int
    prefix_ms: int
    speech_dbfs: float
    onset_ms: int
    padded: bool = True
    """Whether the times of a turn include the prefix and the silence that ended it."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str
    audio_start_ms: int
    """Counted over all audio appended in the session; the prefix is included if the detection pads."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    audio_end_ms: int
    """The silence that ended the turn is included if the detection pads."""
    audio: bytes


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The caller has been silent for `pause_ms`, and the turn is not over by the clock; `audio` is all of it so far."""

    audio: bytes


Change = SpeechStarted | SpeechPaused | SpeechStopped


@dataclass(slots=True)
class InputBuffer:
    """`input_audio_buffer`: audio appended and not yet committed.  Positions are bytes of the session's audio.

    `is_voice` judges 20 ms beside their level; None: the level decides.  `pause_ms`: silence in a turn that is told; None: none is.
    """

    codec: Codec
    new_id: NewId = new_id
    is_voice: Callable[[Samples, int], bool] | None = None
    pause_ms: int | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _buffer_start: int = 0
    _scanned: int = 0
    _item_id: str | None = None  # the turn in progress
    _loud_ms: int = 0
    _quiet_ms: int = 0

    @property
    def quiet_ms(self) -> int:
        """How long it has been silent."""
        return self._quiet_ms

    @property
    def total_bytes(self) -> int:
        return self._buffer_start + len(self._buffer)

    def append(self, payload: bytes, detection: Detection | None) -> list[Change]:
        """Add audio; return the beginnings, pauses and ends of turns in it.  Without detection, buffer everything until a commit."""
        self._buffer += payload
        if detection is None:
            self._reset_detection()
            return []
        frame_bytes = FRAME_MS * self.codec.bytes_per_ms
        changes: list[Change] = []
        while self._scanned + frame_bytes <= self.total_bytes:
            at = self._scanned - self._buffer_start
            frame = self.codec.decode(bytes(self._buffer[at : at + frame_bytes]))
            self._scanned += frame_bytes
            if (change := self._frame(self._is_loud(frame, detection), detection)) is not None:
                changes.append(change)
        if self._item_id is None:
            self._drop_until(self._scanned - (detection.prefix_ms + self._loud_ms) * self.codec.bytes_per_ms)
        return changes

    def commit(self) -> tuple[str, bytes]:
        """Return (item id, audio) and clear the buffer.  Raises Refusal if it contains less than 100 ms."""
        buffered_ms = len(self._buffer) / self.codec.bytes_per_ms
        if buffered_ms < MIN_COMMIT_MS:
            raise Refusal(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MIN_COMMIT_MS}ms of audio, but buffer only has {buffered_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        item_id, audio = self._item_id or self.new_id("item"), bytes(self._buffer)
        self.clear()
        return item_id, audio

    def clear(self) -> None:
        self._drop_until(self.total_bytes)
        self._reset_detection()

    def end(self, detection: Detection) -> SpeechStopped | None:
        """End the turn in progress now, in its pause; None if there is none, or the caller speaks again."""
        return self._stop(detection) if self._item_id is not None and self._quiet_ms else None

    def _is_loud(self, frame: Samples, detection: Detection) -> bool:
        loud = level_dbfs(frame) >= detection.speech_dbfs
        return loud and (self.is_voice is None or self.is_voice(frame, self.codec.rate_hz))

    def _frame(self, loud: bool, detection: Detection) -> Change | None:
        self._loud_ms = self._loud_ms + FRAME_MS if loud else 0
        self._quiet_ms = 0 if loud else self._quiet_ms + FRAME_MS
        if self._item_id is None and self._loud_ms >= detection.onset_ms:
            return self._start(detection)
        if self._item_id is not None and self._quiet_ms >= detection.silence_ms:
            return self._stop(detection)
        if self._item_id is not None and self._quiet_ms == self.pause_ms:
            return SpeechPaused(bytes(self._buffer[: self._scanned - self._buffer_start]))
        return None

    def _start(self, detection: Detection) -> SpeechStarted:
        self._item_id = self.new_id("item")
        self._drop_until(self._scanned - (self._loud_ms + detection.prefix_ms) * self.codec.bytes_per_ms)
        start_ms = self.codec.ms(self._buffer_start)
        return SpeechStarted(
            self._item_id, start_ms if detection.padded else self.codec.ms(self._scanned) - self._loud_ms
        )

    def _stop(self, detection: Detection) -> SpeechStopped:
        assert self._item_id is not None
        end_ms = self.codec.ms(self._scanned) - (0 if detection.padded else self._quiet_ms)
        stopped = SpeechStopped(self._item_id, end_ms, bytes(self._buffer[: self._scanned - self._buffer_start]))
        self._drop_until(self._scanned)
        self._item_id = None
        return stopped

    def _drop_until(self, position: int) -> None:
        if position > self._buffer_start:
            del self._buffer[: position - self._buffer_start]
            self._buffer_start = position

    def _reset_detection(self) -> None:
        self._scanned = self.total_bytes
        self._item_id, self._loud_ms, self._quiet_ms = None, 0, 0
