"""Successive sessions with the model: whether one is confirmed, what is sent to it, and what its successor must know.

A `TurnSession` is asked for responses; a `DuplexSession` is one in which the model speaks by itself.
"""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from typing import Final, Literal

from media.core.calltranscript import CallTranscript
from media.core.modelmessages import Author, ModelCommand
from media.core.plans import AgentPlan
from media.core.types import Emit, ToModel

MALFORMED_IN_A_ROW: Final = 3

#: Sent after the conversation so far, before the model is asked to continue.
BROKE_OFF = (
    "A technical fault broke off what you were saying: the caller has heard only what stands above. If the caller has said "
    "something since, answer that. Otherwise go on from where it broke off. Do not begin again, and do not greet again."
)
#: The same after a note on what happened to the call while it had no agent.
RETURNED = (
    "The caller is back with you after what the last note says. Tell them what happened, in one sentence, and go on. Do not "
    "greet again."
)

#: Sent after an opening that the caller spoke before.
OPENED_LATE = (
    "The caller spoke before they had heard your opening words, which you have said only after theirs. Answer what they said. "
    "Do not greet again."
)

#: Sent after the conversation so far to an agent that takes over the call.
TAKEN_OVER = (
    "Another agent has just handed this call to you; what stands above was said in the same call. Say in a few words who "
    "you are, and go on from there: do not ask again for what the caller has already said."
)


class Session(metaclass=ABCMeta):
    """The session with the model.  Messages sent without one are lost, but a new one gets the transcript and notes."""

    __slots__ = (
        "_agent",
        "_emit",
        "_longest_ms",
        "_malformed",
        "_opened_ms",
        "_transcript",
        "confirmed",
        "ready",
    )

    def __init__(self, agent: AgentPlan, session_ms: int, transcript: CallTranscript, emit: Emit) -> None:
        self.ready = False  # a socket is open
        self.confirmed = False  # the server has confirmed a session
        self._agent, self._transcript, self._emit = agent, transcript, emit
        self._longest_ms = session_ms  # for the server to begin one
        self._malformed = 0
        self._opened_ms = 0.0

    def send(self, command: ModelCommand) -> None:
        """Send a command, if a socket is open."""
        if self.ready:
            self._emit(ToModel(command))

    @abstractmethod
    def add_message(self, author: Author, text: str) -> None:
        """Add a text message to this session's conversation only."""

    def note(self, id: str, author: Literal["caller", "system"], text: str, at_ms: int) -> None:
        """Add something that was not spoken to the conversation, at `at_ms` on the call's clock.

        This session gets it now, and every later one in its place in the transcript, as no session is sure to last.
        """
        self._transcript.note(id, author, text, at_ms)
        self.add_message(author, text)

    def follow(self, agent: AgentPlan) -> None:
        """Let sessions speak for this agent from now on."""
        self._agent = agent

    def inform(self, caller_context: str) -> None:
        """Update the caller's context in the instructions, for what the model says from now on."""
        if caller_context != self._agent.caller_context:
            self._agent = replace(self._agent, caller_context=caller_context)
            self.send_context()

    @abstractmethod
    def send_context(self) -> None:
        """Tell the session the caller's context, which has changed."""

    # Life cycle.

    def open(self, now_ms: float) -> None:
        """Configure a session on the new socket, and bring it up to date."""
        self.ready, self.confirmed, self._opened_ms = True, False, now_ms
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Configure a session, with the conversation so far."""

    def discard(self) -> None:
        """Discard the session and its socket."""
        self.ready = self.confirmed = False
        self._malformed = 0

    def confirm(self) -> None:
        """Record that the server has confirmed the session."""
        self.confirmed = True

    def is_overdue(self, now_ms: float) -> bool:
        """Return whether the server accepted the connection and then failed to begin a session in time."""
        return self.ready and not self.confirmed and now_ms - self._opened_ms >= self._longest_ms

    def event_decoded(self) -> None:
        """Record a readable event: malformed ones are counted in a row."""
        self._malformed = 0

    def event_malformed(self) -> bool:
        """Record a malformed event; return whether to keep the session."""
        self._malformed += 1
        return self._malformed < MALFORMED_IN_A_ROW

    # What was heard, and what was done.

    @abstractmethod
    def add_agent_text(self, text: str, *, filler: bool) -> None:
        """Add what the caller heard from us but not from the model.  A filler goes before the response it precedes."""

    @abstractmethod
    def truncate_item(self, item_id: str, heard_ms: int) -> None:
        """Truncate one of this session's items to the `heard_ms` that were heard; 0 deletes it."""

    @abstractmethod
    def answer_tool(self, tool_call_id: str, output_json: str, *, awaited: bool = True) -> None:
        """Give the model the result of a tool that it called in this session; `awaited`: the caller waits for it."""

    @abstractmethod
    def revoke_end(self, tool_call_id: str) -> None:
        """Tell the model that the call goes on, though its tool has ended it: the caller spoke before its last words were heard."""

    @abstractmethod
    def announce_end(self, tool_call_id: str, output_json: str) -> None:
        """Have the model say its last words: the tool that it called has ended its part of the call."""


def instructions(agent: AgentPlan) -> str:
    """Return the agent's instructions, including the caller's context."""
    return f"{agent.instructions}\n\n{agent.caller_context}" if agent.caller_context else agent.instructions
