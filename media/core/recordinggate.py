"""The recording gate: where the sound of both sides leaves the core, for the recording and for listeners.

A call that is recorded may have to announce it first: the announcement cannot be interrupted, and the recording begins
once a mark proves that it was heard.
"""

from typing import Final

from media.core.audio import to_ms
from media.core.heardposition import Item
from media.core.types import Emit, RecordAgent, RecordCaller, StartRecording

#: How long the announcement's last mark may take to come back.
PROOF_MS: Final = 1_000.0


class RecordingGate:
    """The recording gate of one call."""

    __slots__ = (
        "_agent_ms",
        "_announced",
        "_announcement",
        "_emit",
        "_is_protected",
        "_listened",
        "_recording",
        "_wanted",
        "running",
    )

    def __init__(self, emit: Emit, *, wanted: bool, protected: bool = False) -> None:
        """Create the gate: a recording is `wanted`, and its announcement `protected` from interruptions, or not."""
        self.running = False  # there is a recording or a listener
        self._recording = self._listened = False
        self._wanted, self._is_protected, self._emit = wanted, protected, emit
        # The announcement, from when it is queued until it is proven.
        self._announcement: Item | None = None
        self._agent_ms = 0  # the end of the agent's last span
        # What was heard of the announcement: it allows the recording, and is part of it.
        self._announced: list[RecordAgent] = []

    def announcement_queued(self, item: Item) -> None:
        """Protect the announcement from now on, and wait for its proof."""
        self._announcement = item

    def protects(self, speaking: Item | None, now_ms: float) -> bool:
        """Return whether the announcement must not be interrupted now; `speaking` is the item being heard.

        True until the announcement's mark is back, since a clear before that would flush the proof.
        """
        item = self._announcement
        if item is None or not self._is_protected:
            return False
        return speaking is item if speaking is not None and not item.finished else now_ms < item.ended_ms + PROOF_MS

    def announcement_proven_ms(self) -> float | None:
        """Return when the announcement was heard to its end, once that is proven, and only once; else None."""
        item = self._announcement
        if item is None or not item.played:
            return None
        self._announcement = None
        return item.ended_ms

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
