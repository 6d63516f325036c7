"""The recording gate: where the sound of both sides leaves the core, for the recording and for listeners."""

from media.core.audio import to_ms
from media.core.types import Emit, RecordAgent, RecordCaller, StartRecording


class RecordingGate:
    """The recording gate of one call."""

    __slots__ = ("_agent_ms", "_announced", "_emit", "_listened", "_recording", "_wanted", "running")

    def __init__(self, emit: Emit, *, wanted: bool) -> None:
        self.running = False  # there is a recording or a listener
        self._recording = self._listened = False
        self._wanted, self._emit = wanted, emit
        self._agent_ms = 0  # the end of the agent's last span
        # What was heard of the announcement: it allows the recording, and is part of it.
        self._announced: list[RecordAgent] = []

    def start(self) -> None:
        """Begin the recording, if one is wanted and none has begun."""
        if self._wanted and not self._recording:
            self._recording = True
            self._emit(StartRecording(tuple(self._announced)))
            self._announced.clear()
            self._update_running()

    def listen(self, on: bool) -> None:
        """Begin or end live listening."""
        self._listened = on
        self._update_running()

    def _update_running(self) -> None:
        self.running = self._recording or self._listened

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Pass on a frame of the caller's."""
        if self.running:
            self._emit(RecordCaller(payload, at_ms))

    def announced(self, payload: bytes, at_ms: int) -> None:
        """Keep a part of the announcement, heard from `at_ms` on."""
        if self._wanted and not self._recording:
            last = self._announced[-1] if self._announced else None
            begins_ms = max(at_ms, last.at_ms + to_ms(len(last.payload)) if last else 0)
            self._announced.append(RecordAgent(payload, begins_ms))

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Pass on audio heard from `at_ms` on.  Corrections of a few ms must not make spans overlap."""
        at_ms = max(at_ms, self._agent_ms)
        self._agent_ms = at_ms + to_ms(len(payload))
        self._emit(RecordAgent(payload, at_ms))
