"""The audio that a party of a call hears besides a stream: ringing, sentences, sounds, the other party.  Pure; times in seconds."""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.audio import BYTES_PER_MS, FRAME_BYTES, SILENCE
from sandbox.twilio import tones

QUIET = bytes([SILENCE]) * FRAME_BYTES
MAX_RECORDED_BYTES = 5 * 60 * 1000 * BYTES_PER_MS
MAX_IN_FLIGHT_FRAMES = 10  # between the two phones of a bridge


class SoundSource(Protocol):
    def frame(self, begin: float) -> bytes:
        """Return 20 ms of sound from `begin` on."""
        ...


class Playback:
    """A piece of audio that plays once, or in a loop."""

    def __init__(self, audio: bytes, start: float, *, forever: bool = False) -> None:
        self._audio = audio
        self._start = start
        self._forever = forever

    def frame(self, begin: float) -> bytes:
        at = round((begin - self._start) * 1000) * BYTES_PER_MS
        if self._forever:
            at %= len(self._audio)
        piece = self._audio[max(0, at) : max(0, at + FRAME_BYTES)]
        return piece.rjust(FRAME_BYTES, QUIET[:1]) if at < 0 else piece.ljust(FRAME_BYTES, QUIET[:1])


class Ringing(Playback):
    def __init__(self, country: str, start: float) -> None:
        super().__init__(tones.ringback(country), start, forever=True)


class Wire:
    """One direction of a bridge: each frame that one phone sends, the other hears once; keys are heard as their tones."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=MAX_IN_FLIGHT_FRAMES)
        self._key = b""

    def send(self, payload: bytes, digit: str | None = None) -> None:
        if digit is not None:
            self._key = tones.key(digit)
        sound, self._key = self._key[:FRAME_BYTES] or payload, self._key[FRAME_BYTES:]
        self._frames.append(sound)

    def frame(self, begin: float) -> bytes:  # noqa: ARG002
        return self._frames.popleft() if self._frames else QUIET


@dataclass(slots=True)
class AudioSpan:
    """A stretch of one kind of sound: `ringing`, `say`, `play`, `stream`, `bridge` or `silence`."""

    what: str
    start: float
    end: float | None = None
    audio: bytearray = field(default_factory=bytearray)
    """Empty for a stream, which has its own record, and beyond MAX_RECORDED_BYTES of a call."""


class HeardAudio:
    """The record of a call's audio: contiguous spans."""

    def __init__(self) -> None:
        self.spans: list[AudioSpan] = []
        self._recorded_bytes = 0

    def switch(self, what: str, at: float) -> None:
        """End the current span and begin the next."""
        self.close(at)
        self.spans.append(AudioSpan(what, at))

    def close(self, at: float) -> None:
        if self.spans and self.spans[-1].end is None:
            self.spans[-1].end = at

    def add(self, payload: bytes) -> None:
        if self.spans and self._recorded_bytes < MAX_RECORDED_BYTES:
            self.spans[-1].audio += payload
            self._recorded_bytes += len(payload)

    def of(self, what: str) -> bytes:
        """Return all audio of one kind, in order."""
        return b"".join(bytes(span.audio) for span in self.spans if span.what == what)
