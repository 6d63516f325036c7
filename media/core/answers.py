"""Who may answer, and when: at most one response at a time, none over the agent's own voice, none for a nod.

The server only says that a turn has ended; every response is created here, so that an answer owed after an overlap is
never lost.  A turn spoken over the agent that was taken back owes nothing, unless it began in the agent's last second:
that one was meant as a reply.
"""

from dataclasses import dataclass, field

REFUSALS = 3
LAST_WORDS_MS = 1_000.0


@dataclass(slots=True)
class _Turn:
    """A turn of the caller, as far as it was spoken over the agent: whether it wants an answer."""

    held: bool = False  # the caller speaks over the agent, and no verdict has fallen
    committed: bool = False  # the turn ended before the verdict
    late: bool = False  # it began in the agent's last second
    free: bool = False  # part of it was spoken while the agent was silent
    excused: bool = False

    def commit(self) -> bool:
        """The turn has ended: whether it wants an answer now."""
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
    owed: bool = False
    turns: int = 0  # of the caller, that wanted an answer
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

    def taken_back(self) -> None:
        turn = self._turn
        if turn.verdict(excused=not (turn.late or turn.free)):
            self.turn_taken()

    def spoke_freely(self) -> None:
        """The caller speaks and the agent does not."""
        self._turn.free, self._turn.excused = True, False

    def turn_committed(self) -> None:
        if self._turn.commit():
            self.turn_taken()

    def turn_taken(self) -> None:
        """The caller wants an answer: has spoken, or pressed keys."""
        self.owed, self.turns = True, self.turns + 1

    def owe(self) -> None:
        """A tool's result wants an answer: the rest of one."""
        self.owed = True

    def create(self, agent_audible: bool) -> str | None:
        """The event id of the response.create to send now, if one is due."""
        if not self.owed or agent_audible or self._turn.held:
            return None
        return self.begin()

    def begin(self) -> str | None:
        """The event id of a response.create that nobody owes, unless one is active."""
        if self.active:
            return None
        self.owed, self.active, self.response_id = False, True, None
        self._creates += 1
        return f"create_{self._creates}"

    def response_created(self, response_id: str) -> None:
        self.active, self.response_id = True, response_id

    def response_done(self, response_id: str, failed: bool = False) -> None:
        if self.active and self.response_id in (None, response_id):
            self.active, self.response_id = False, None
            self._refusals = self._refusals + 1 if failed else 0
            self.owed |= failed and self._refusals < REFUSALS

    def refused(self, event_id: str | None) -> None:
        """The server would not do it; asked again a few times, since the caller is waiting."""
        if self.active and self.response_id is None and event_id == f"create_{self._creates}":
            self.active = False
            self._refusals += 1
            self.owed = self._refusals < REFUSALS

    def model_lost(self) -> None:
        """An answer that was being made is owed by the next session."""
        self.owed |= self.active
        self.active, self.response_id = False, None
