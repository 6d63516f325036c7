"""One session of the model after another: whether there is one, what it is sent, and what its successor must know."""

from collections.abc import Sequence
from typing import Literal

from media.core import realtime as rt
from media.core.types import CallPlan, Emit, Role, ToModel

MALFORMED_IN_A_ROW = 3

Author = Role | Literal["system"]


class Session:
    """What is sent while there is none is lost, but for notes: a new session learns from the turns what was said."""

    __slots__ = ("_alive_ms", "_emit", "_malformed", "_notes", "_plan", "_turn_id", "attempts", "ready")

    def __init__(self, plan: CallPlan, emit: Emit) -> None:
        self.ready = False
        self.attempts = 1  # to reach the model, since it last worked
        self._plan, self._emit = plan, emit
        self._notes: list[tuple[Author, str]] = []
        self._turn_id = ""  # of the caller's last turn in this session
        self._malformed = 0
        self._alive_ms = 0.0  # its last sign of life, or our last request

    def send(self, payload: bytes) -> None:
        if self.ready:
            self._emit(ToModel(payload))

    def note(self, author: Author, text: str) -> None:
        """Something that was not spoken, but belongs into the conversation."""
        if self.ready:
            self.send(rt.message_create(author, text))
        else:
            self._notes.append((author, text))

    # Its life.

    def open(self, so_far: Sequence[tuple[Role, str]]) -> None:
        """A socket stands: configure it, and bring it up to date."""
        self.ready = True
        self._turn_id = ""
        self.send(rt.session_update(self._plan))
        for author, text in (*so_far, *self._notes):
            self.send(rt.message_create(author, text))
        self._notes.clear()

    def lose(self) -> None:
        self.ready = False
        self.attempts += 1
        self._malformed = 0

    def works(self) -> None:
        """It has taken our configuration."""
        self.attempts = 1

    def heard(self, now_ms: float) -> None:
        """It has said something that can be read."""
        self._malformed, self._alive_ms = 0, now_ms

    def expect(self, now_ms: float) -> None:
        """It owed us nothing until now."""
        self._alive_ms = now_ms

    def garbled(self) -> bool:
        """It has said what it may not: whether we still listen."""
        self._malformed += 1
        return self._malformed < MALFORMED_IN_A_ROW

    def silent(self, now_ms: float) -> bool:
        """Whether it has said nothing for too long, if it owes us something."""
        return self.ready and now_ms - self._alive_ms >= self._plan.stall_ms

    # What it must know of what was heard.

    def caller_spoke(self, turn_id: str) -> None:
        """The caller's last turn, by its id in this session."""
        self._turn_id = turn_id

    def agent_said(self, text: str, *, filler: bool) -> None:
        """Without the model.  A filler was heard before the answer that the model may have begun already."""
        self.send(rt.message_create("agent", text, self._turn_id or None if filler else None))

    def agent_cut(self, item_id: str, heard_ms: int) -> None:
        """Of an item of this session no more than so much was heard, and no more will be."""
        # 0 ms is refused by the server, and so is anything beyond the item's length.
        self.send(rt.item_truncate(item_id, heard_ms) if heard_ms else rt.item_delete(item_id))
