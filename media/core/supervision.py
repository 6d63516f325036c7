"""What people who follow the call tell its agent, what became of what waited for them, each thing once; and until when they read
the live transcript.

A hint is part of the conversation from the moment it is given: a session of the model that is open gets it now, and every
later one gets it in its place among the turns, so that the agent does not take for new what it has followed already.
"""

from typing import Final, Literal

from media.core.commands import Instruct, News, Say
from media.core.replies import Replies
from media.core.session import Session
from media.core.types import Answered, ClipKind, Emit, Intervened, Report

MOST: Final = 100  # in a call
MOST_WAITING: Final = 5  # texts that wait to be said

HINT = (
    "A person of your organization who follows this call tells you the following. The caller does not hear it. Do as it says, "
    "beginning with what you say next, and do not mention it:\n"
)


def hint(text: str) -> str:
    """An instruction as the model reads it."""
    return HINT + text


class Supervision:
    __slots__ = ("_done", "_emit", "_replies", "_session", "watched_until_ms")

    def __init__(self, session: Session, replies: Replies, emit: Emit) -> None:
        self.watched_until_ms = 0.0
        self._session, self._replies, self._emit = session, replies, emit
        self._done: set[str] = set()  # the ids of what was carried out

    def watch(self, until_ms: float) -> None:
        """The live transcript is read until then, or for longer if that was asked for before."""
        self.watched_until_ms = max(self.watched_until_ms, until_ms)

    def is_new(self, id: str) -> bool:
        """Whether a command with this id was never carried out; it counts as carried out from now on."""
        if id in self._done:
            return False
        self._done.add(id)
        return True

    def take(self, wish: Instruct | Say | News, at_ms: int) -> None:
        """Carry it out, unless that was done, and answer."""
        self._emit(Report(Answered(wish.id, self._outcome(wish, at_ms))))

    def _outcome(self, wish: Instruct | Say | News, at_ms: int) -> Literal["done", "over", "full"]:
        if wish.id in self._done:
            return "done"
        if self._replies.closed:
            return "over"
        if len(self._done) >= MOST:
            return "full"
        if isinstance(wish, Say):
            if self._replies.dictated >= MOST_WAITING:
                return "full"
            self._replies.say(ClipKind.DICTATED, wish.text)
        else:
            text = hint(wish.text) if isinstance(wish, Instruct) else wish.text
            self._session.note(wish.id, "system", text, at_ms)
        if isinstance(wish, News):
            self._replies.answers.owe()
        self._done.add(wish.id)
        self._emit(Report(_intervened(wish, at_ms)))
        return "done"


def _intervened(wish: Instruct | Say | News, at_ms: int) -> Intervened:
    match wish:
        case News(id, text):
            return Intervened(id, "news", text, "", at_ms)
        case Say(id, text, by):
            return Intervened(id, "say", text, by, at_ms)
        case Instruct(id, text, by):
            return Intervened(id, "instruct", text, by, at_ms)
