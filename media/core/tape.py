"""The one gate through which the sound of both sides leaves the core: for the recording, from the moment that it is allowed,
and for whoever listens.
"""

from media.core.audio import to_ms
from media.core.types import Emit, RecordAgent, RecordCaller, StartRecording


class Tape:
    __slots__ = ("_agent_ms", "_announced", "_emit", "_listened", "_recording", "_wanted", "running")

    def __init__(self, emit: Emit, *, wanted: bool) -> None:
        self.running = False  # somebody takes the sound
        self._recording = self._listened = False
        self._wanted, self._emit = wanted, emit
        self._agent_ms = 0  # the end of the agent's last span
        self._announced: list[
            RecordAgent
        ] = []  # what was heard of the announcement: it allows the recording, and is part of it

    def start(self) -> None:
        """Recording may begin; does nothing if none is wanted or it is running."""
        if self._wanted and not self._recording:
            self._recording = True
            self._emit(StartRecording(tuple(self._announced)))
            self._announced.clear()
            self._turn()

    def listen(self, on: bool) -> None:
        """Somebody listens, or nobody any more."""
        self._listened = on
        self._turn()

    def _turn(self) -> None:
        self.running = self._recording or self._listened

    def caller(self, payload: bytes, at_ms: int) -> None:
        if self.running:
            self._emit(RecordCaller(payload, at_ms))

    def announced(self, payload: bytes, at_ms: int) -> None:
        """Part of the announcement was heard, from `at_ms` on."""
        if self._wanted and not self._recording:
            last = self._announced[-1] if self._announced else None
            begins_ms = max(at_ms, last.at_ms + to_ms(len(last.payload)) if last else 0)
            self._announced.append(RecordAgent(payload, begins_ms))

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Audio heard from `at_ms` on.  Corrections of a few ms must not make spans overlap."""
        at_ms = max(at_ms, self._agent_ms)
        self._agent_ms = at_ms + to_ms(len(payload))
        self._emit(RecordAgent(payload, at_ms))
