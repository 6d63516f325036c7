"""Successive sessions with the model: whether there is one, what it is sent, and what its successor must know."""

from collections.abc import Sequence
from typing import Literal

from media.core import realtime as rt
from media.core.types import CallPlan, Emit, Role, ToModel

MALFORMED_IN_A_ROW = 3

Author = Role | Literal["system"]


class Session:
    """What is sent while there is none is lost, except notes: a new session gets the conversation from the turns."""

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
        """Something that was not spoken but belongs in the conversation."""
        if self.ready:
            self.send(rt.message_create(author, text))
        else:
            self._notes.append((author, text))

    # Its life.

    def open(self, so_far: Sequence[tuple[Role, str]]) -> None:
        """A socket is open: configure the session, and bring it up to date."""
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
        """It has accepted our configuration."""
        self.attempts = 1

    def heard(self, now_ms: float) -> None:
        """It has sent a readable event."""
        self._malformed, self._alive_ms = 0, now_ms

    def expect(self, now_ms: float) -> None:
        """A response is expected from now on: the stall timer starts again."""
        self._alive_ms = now_ms

    def garbled(self) -> bool:
        """It has sent something malformed; return whether to go on listening."""
        self._malformed += 1
        return self._malformed < MALFORMED_IN_A_ROW

    def silent(self, now_ms: float) -> bool:
        """Whether it has sent nothing for too long, provided that a response is expected."""
        return self.ready and now_ms - self._alive_ms >= self._plan.stall_ms

    # What it must know about what was heard.

    def caller_spoke(self, turn_id: str) -> None:
        """The caller's last turn, by its id in this session."""
        self._turn_id = turn_id

    def agent_said(self, text: str, *, filler: bool) -> None:
        """Something that the model did not say.  A filler comes before the answer that the model may have begun."""
        self.send(rt.message_create("agent", text, self._turn_id or None if filler else None))

    def agent_cut(self, item_id: str, heard_ms: int) -> None:
        """Only `heard_ms` of an item of this session was heard, and no more will be."""
        # The server refuses 0 ms, and anything beyond the item's length.
        self.send(rt.item_truncate(item_id, heard_ms) if heard_ms else rt.item_delete(item_id))
