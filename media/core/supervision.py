"""Supervision: what people who follow the call have its agent know or say, each command once; and live transcripts.

A hint is part of the conversation from the moment it is given: an open session of the model gets it at once, and
every later one gets it in its place among the turns, so that the agent does not mistake it for a new one.
"""

from typing import Final, Literal

from media.core.commands import DecisionResult, Instruct, Say
from media.core.plans import PromptKind
from media.core.session import Session
from media.core.speechrequests import SpeechRequests
from media.core.types import CommandReply, Emit, Intervened, Report

MOST: Final = 100  # in a call
MOST_WAITING: Final = 5  # dictated texts in the queue

HINT = (
    "A person of your organization who follows this call tells you the following. The caller does not hear it. Do as it says, "
    "beginning with what you say next, and do not mention it:\n"
)


def hint(text: str) -> str:
    """Return a person's instruction as the model reads it."""
    return HINT + text


class Supervision:
    """The commands of people to one call's agent."""

    __slots__ = ("_done", "_emit", "_session", "_speech", "watched_until_ms")

    def __init__(self, session: Session, speech: SpeechRequests, emit: Emit) -> None:
        self.watched_until_ms = 0.0
        self._session, self._speech, self._emit = session, speech, emit
        self._done: set[str] = set()  # ids of the commands carried out

    def watch(self, until_ms: float) -> None:
        """Report the live transcript until then, or longer if that was asked for before."""
        self.watched_until_ms = max(self.watched_until_ms, until_ms)

    def is_new(self, id: str) -> bool:
        """Return whether no command with this id was carried out; count it as carried out from now on."""
        if id in self._done:
            return False
        self._done.add(id)
        return True

    def carry_out(self, command: Instruct | Say | DecisionResult, at_ms: int) -> None:
        """Carry out a command, unless that was done, and report the reply."""
        self._emit(Report(CommandReply(command.id, self._outcome(command, at_ms))))

    def _outcome(self, command: Instruct | Say | DecisionResult, at_ms: int) -> Literal["done", "over", "full"]:
        if command.id in self._done:
            return "done"
        if self._speech.closed:
            return "over"
        if len(self._done) >= MOST:
            return "full"
        if isinstance(command, Say):
            if self._speech.dictated >= MOST_WAITING:
                return "full"
            self._speech.say(PromptKind.DICTATED, command.text)
        else:
            text = hint(command.text) if isinstance(command, Instruct) else command.text
            self._session.note(command.id, "system", text, at_ms)
        if isinstance(command, DecisionResult):
            self._speech.owe_response()
        self._done.add(command.id)
        self._emit(Report(_intervened(command, at_ms)))
        return "done"


def _intervened(command: Instruct | Say | DecisionResult, at_ms: int) -> Intervened:
    match command:
        case DecisionResult(id, text):
            return Intervened(id, "news", text, "", at_ms)
        case Say(id, text, by):
            return Intervened(id, "say", text, by, at_ms)
        case Instruct(id, text, by):
            return Intervened(id, "instruct", text, by, at_ms)
