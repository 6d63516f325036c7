"""Successive sessions with the model: whether there is one, what it is sent, and what its successor must know."""

from dataclasses import replace
from typing import Final, Literal

from media.core import realtime as rt
from media.core.minutes import Minutes
from media.core.types import Author, CallPlan, Emit, ToModel

MALFORMED_IN_A_ROW: Final = 3

#: Follows what was heard, before the model is asked to continue.
BROKE_OFF = (
    "A technical fault broke off what you were saying: the caller has heard only what stands above. If the caller has said "
    "something since, answer that. Otherwise go on from where it broke off. Do not begin again, and do not greet again."
)
#: Follows what happened to the call while it had no agent, instead.
RETURNED = (
    "The caller is back with you after what the last note says. Tell them what happened, in one sentence, and go on. Do not "
    "greet again."
)

#: Follows what was said so far, for an agent who takes the call over.
TAKEN_OVER = (
    "Another agent has just handed this call to you; what stands above was said in the same call. Say in a few words who "
    "you are, and go on from there: do not ask again for what the caller has already said."
)


class Session:
    """What is sent while there is none is lost, except notes: a new session gets the conversation from the minutes."""

    __slots__ = ("_emit", "_malformed", "_minutes", "_opened_ms", "_plan", "_turn_id", "ready", "stands")

    def __init__(self, plan: CallPlan, minutes: Minutes, emit: Emit) -> None:
        self.ready = False  # a socket is open
        self.stands = False  # and the server has confirmed a session on it
        self._plan, self._minutes, self._emit = plan, minutes, emit
        self._turn_id = ""  # of the caller's last turn in this session
        self._malformed = 0
        self._opened_ms = 0.0

    def send(self, payload: bytes) -> None:
        if self.ready:
            self._emit(ToModel(payload))

    def tell(self, author: Author, text: str) -> None:
        """Something that was not spoken: this session knows it, and no other one."""
        self.send(rt.message_create(author, text))

    def note(self, id: str, author: Literal["caller", "system"], text: str, at_ms: int) -> None:
        """Something that was not spoken but belongs in the conversation, at `at_ms` on the call's clock: this session
        knows it, and so does every later one, for none is sure to last.
        """
        self._minutes.noted(id, author, text, at_ms)
        self.tell(author, text)

    @property
    def plan(self) -> CallPlan:
        """What its sessions follow."""
        return self._plan

    def become(self, plan: CallPlan) -> None:
        """Sessions follow this plan from now on."""
        self._plan = plan

    def inform(self, caller_context: str) -> None:
        """Who calls is known better: what the model answers from now on is answered with that."""
        if caller_context == self._plan.caller_context:
            return
        self._plan = replace(self._plan, caller_context=caller_context)
        self.send(rt.instructions_update(self._plan))

    # Its life.

    def open(self, now_ms: float) -> None:
        """A socket is open: configure the session, and bring it up to date."""
        self.ready, self.stands, self._opened_ms = True, False, now_ms
        self._turn_id = ""
        self.send(rt.session_update(self._plan))
        for author, text in self._minutes.so_far():
            self.tell(author, text)

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
