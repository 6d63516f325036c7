"""When to create a response: at most one at a time, none over the agent's own voice, none for a nod.

The server only reports that a turn has ended; every response is created here, so that an answer owed after an overlap
is never lost.  A turn spoken over the agent whose verdict was "resume" is owed no answer, unless it began in the
agent's last second: that one was meant as a reply.
"""

from dataclasses import dataclass, field
from typing import Final

from media.core.caller import Caller

REFUSALS: Final = 3
LAST_WORDS_MS: Final = 1_000.0


@dataclass(slots=True)
class _Turn:
    """A turn of the caller and its overlap with the agent, which decide whether the turn is owed an answer."""

    held: bool = False  # the caller is speaking over the agent, and there is no verdict yet
    committed: bool = False  # the turn ended before the verdict
    late: bool = False  # it began in the agent's last second
    free: bool = False  # part of it was spoken while the agent was silent
    excused: bool = False

    def commit(self) -> bool:
        """The turn has ended: whether it is owed an answer now."""
        if self.held:
            self.committed = True
            return False
        wanted = not self.excused
        self.free = self.excused = False
        return wanted

    def verdict(self, *, excused: bool) -> bool:
        """The same, for a turn that ended before the verdict."""
        self.held, self.excused = False, excused
        ended, self.committed = self.committed, False
        return ended and self.commit()


@dataclass(slots=True)
class Answers:
    caller: Caller
    owed: bool = False
    turns: int = 0  # the caller's turns that were owed an answer
    active: bool = False  # from response.create to response.done
    response_id: str | None = None
    _turn: _Turn = field(default_factory=_Turn)
    _creates: int = 0
    _refusals: int = 0

    def overlap_began(self, remaining_ms: float) -> None:
        self._turn.held, self._turn.late = True, remaining_ms <= LAST_WORDS_MS

    def cut(self) -> None:
        if self._turn.verdict(excused=False):
            self.turn_taken()

    def taken_back(self) -> bool:
        """The verdict is "resume"; returns whether a turn was taken all the same."""
        turn = self._turn
        taken = turn.verdict(excused=not (turn.late or turn.free))
        if taken:
            self.turn_taken()
        return taken

    def spoke_freely(self) -> None:
        """The caller is speaking and the agent is not."""
        self._turn.free, self._turn.excused = True, False

    def turn_committed(self) -> bool:
        """Returns whether the turn was taken, and not excused or left for a verdict."""
        taken = self._turn.commit()
        if taken:
            self.turn_taken()
        return taken

    def turn_taken(self) -> None:
        """The caller has spoken or pressed keys, and is owed an answer."""
        self.owed, self.turns = True, self.turns + 1

    def owe(self) -> None:
        """A tool's result needs an answer (the rest of one that has begun), or nothing of an answer was heard."""
        self.owed = True

    def create(self, agent_audible: bool) -> str | None:
        """The event id of the response.create to send now, if one is due."""
        if not self.owed or agent_audible or self._turn.held:
            return None
        event_id = self.begin()
        self.owed = self.owed and event_id is None
        return event_id

    def begin(self) -> str | None:
        """The event id for a response.create regardless of whether an answer is owed; None while one is active."""
        if self.active:
            return None
        self.active, self.response_id = True, None
        self._creates += 1
        return f"create_{self._creates}"

    def response_created(self, response_id: str) -> None:
        self.active, self.response_id = True, response_id

    def response_done(self, response_id: str, failed: bool = False) -> None:
        if self.active and self.response_id in (None, response_id):
            self.active, self.response_id = False, None
            self._refusals = self._refusals + 1 if failed else 0
            self.owed |= failed

    def refused(self, event_id: str | None) -> None:
        """The server refused the response, which is still owed, since the caller is waiting."""
        if self.active and self.response_id is None and event_id == f"create_{self._creates}":
            self.active = False
            self._refusals += 1
            self.owed = True

    @property
    def failing(self) -> bool:
        """Whether this session has refused or failed so many responses in a row that another one is to be tried."""
        return self._refusals >= REFUSALS

    def model_lost(self) -> None:
        """An answer that was in progress is owed by the next session, which has tries of its own."""
        self.owed |= self.active
        self._refusals = 0
        self.active, self.response_id = False, None
