"""The end of a message, and whether it is one: by webrtcvad alone and by elapsed time.

Sounds that the detector over the agent would reject count as a voice here: a quiet caller must not be cut off, and
no message may be lost for being hard to hear.  So noise may pass for a message without an end, and there is a
longest one.
"""

from enum import Enum, auto

from media.core.audio import to_ms
from media.core.vad import Vad


class DictationEnd(Enum):
    """The reason that a message is over."""

    SILENT = auto()
    TOO_LONG = auto()


class Dictation:
    """One message of the caller's."""

    __slots__ = ("_alive_ms", "_began_ms", "_least_ms", "_longest_ms", "_silence_ms", "_vad", "_voiced_ms")

    def __init__(self, silence_ms: int, longest_ms: int, least_ms: int) -> None:
        self._silence_ms, self._longest_ms, self._least_ms = silence_ms, longest_ms, least_ms
        self._vad = Vad()
        self._began_ms = self._alive_ms = 0.0
        self._voiced_ms = 0

    def adapt(self, ulaw: bytes) -> None:
        """Adapt the detector to the line, with audio from before the message."""
        self._vad.caller_frame(ulaw, agent_audible=False)

    def begin(self, now_ms: float) -> None:
        self._began_ms = self._alive_ms = now_ms

    def frame(self, ulaw: bytes, now_ms: float) -> None:
        """Process audio of the message."""
        voiced, _ = self._vad.caller_frame(ulaw, agent_audible=False)
        if voiced:
            self._alive_ms = now_ms
            self._voiced_ms += to_ms(len(ulaw))

    def over(self, now_ms: float) -> DictationEnd | None:
        """Return why the message has ended by now; None if it has not."""
        if now_ms - self._began_ms >= self._longest_ms:
            return DictationEnd.TOO_LONG
        return DictationEnd.SILENT if now_ms - self._alive_ms >= self._silence_ms else None

    @property
    def kept(self) -> bool:
        """Whether there was enough of a voice for a message."""
        return self._voiced_ms >= self._least_ms
