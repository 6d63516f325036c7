"""What is recorded of both sides, from the moment that recording is allowed."""

from media.core.audio import to_ms
from media.core.types import Emit, RecordAgent, RecordCaller, StartRecording


class Tape:
    __slots__ = ("_agent_ms", "_emit", "_wanted", "running")

    def __init__(self, emit: Emit, *, wanted: bool) -> None:
        self.running = False
        self._wanted, self._emit = wanted, emit
        self._agent_ms = 0  # the end of the agent's last span

    def start(self) -> None:
        """Recording may begin; does nothing if none is wanted or it is running."""
        if self._wanted and not self.running:
            self.running = True
            self._emit(StartRecording())

    def caller(self, payload: bytes, at_ms: int) -> None:
        if self.running:
            self._emit(RecordCaller(payload, at_ms))

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Audio heard from `at_ms` on.  Corrections of a few ms must not make spans overlap."""
        at_ms = max(at_ms, self._agent_ms)
        self._agent_ms = at_ms + to_ms(len(payload))
        self._emit(RecordAgent(payload, at_ms))
