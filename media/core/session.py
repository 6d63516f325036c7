"""Successive sessions with the model: whether there is one, what it is sent, and what its successor must know."""

from collections.abc import Sequence
from typing import Literal

from media.core import realtime as rt
from media.core.types import CallPlan, Emit, Role, ToModel

MALFORMED_IN_A_ROW = 3

#: Follows what was heard, before the model is asked to continue.
BROKE_OFF = (
    "A technical fault broke off what you were saying: the caller has heard only what stands above. If the caller has said "
    "something since, answer that. Otherwise go on from where it broke off. Do not begin again, and do not greet again."
)

Author = Role | Literal["system"]


class Session:
    """What is sent while there is none is lost, except notes: a new session gets the conversation from the turns."""

    __slots__ = ("_emit", "_malformed", "_notes", "_opened_ms", "_plan", "_turn_id", "ready", "stands")

    def __init__(self, plan: CallPlan, emit: Emit) -> None:
        self.ready = False  # a socket is open
        self.stands = False  # and the server has confirmed a session on it
        self._plan, self._emit = plan, emit
        self._notes: list[tuple[Author, str]] = []
        self._turn_id = ""  # of the caller's last turn in this session
        self._malformed = 0
        self._opened_ms = 0.0

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

    def open(self, so_far: Sequence[tuple[Role, str]], now_ms: float) -> None:
        """A socket is open: configure the session, and bring it up to date."""
        self.ready, self.stands, self._opened_ms = True, False, now_ms
        self._turn_id = ""
        self.send(rt.session_update(self._plan))
        for author, text in (*so_far, *self._notes):
            self.send(rt.message_create(author, text))
        self._notes.clear()

    def lose(self) -> None:
        self.ready = self.stands = False
        self._malformed = 0

    def begun(self) -> None:
        """The server has confirmed the session."""
        self.stands = True

    def late(self, now_ms: float) -> bool:
        """Whether the server accepted the connection long ago and has not begun a session."""
        return self.ready and not self.stands and now_ms - self._opened_ms >= self._plan.session_ms

    def read(self) -> None:
        """It has sent a readable event."""
        self._malformed = 0

    def garbled(self) -> bool:
        """It has sent something malformed; return whether to go on listening."""
        self._malformed += 1
        return self._malformed < MALFORMED_IN_A_ROW

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
