"""The meter of sessions that cost by their time: what the server says that a session has lasted, or else our clock."""

from typing import Final

from media.core.modelmessages import ModelUsed
from media.core.types import Emit, Report

_NEVER: Final = float("inf")


class SessionMeter:
    """The meter of one call's sessions, one after another; each report is what a session has lasted since the last one."""

    __slots__ = ("_emit", "_reported_ms", "begun_ms", "model")

    def __init__(self, model: str, emit: Emit) -> None:
        self.model, self._emit = model, emit
        self.begun_ms = _NEVER  # the session; infinity without one
        self._reported_ms = 0

    def begin(self, now_ms: float) -> None:
        """Begin to count a session."""
        self.begun_ms, self._reported_ms = now_ms, 0

    def read(self, session_ms: int) -> None:
        """Report what the server counts."""
        if session_ms > self._reported_ms:
            self._emit(Report(ModelUsed(self.model, session_ms=session_ms - self._reported_ms)))
            self._reported_ms = session_ms

    def close(self, session_ms: int) -> None:
        """End a session that has lasted for so long."""
        self.read(session_ms)
        self.begun_ms = _NEVER

    def end(self, now_ms: float) -> None:
        """End a session of which the server has told no end, by our clock."""
        if self.begun_ms < _NEVER:
            self.close(round(now_ms - self.begun_ms))
