"""Response scheduling: when to request one.

One response is active at a time.  None is created over the agent's own voice or while an overlap is undecided, and a
backchannel gets none.  The server only reports that a turn has ended; every response is created here, so that a
response owed after an overlap is never lost.

Theory of operation.  A response is `owed` once a turn is committed, keys are entered, a tool returns, nothing of a
response was heard, or one is refused, fails or is lost with its session.  It is `active` from its request until it
has ended; another may be owed meanwhile.

    idle ── owe_turn, owe_response ──▶ owed ── create: agent silent, no overlap ──▶ active ── response_done ──▶ idle
                                        ▲                                             │
                                        └──── failed, refused, session_lost ──────────┘

Whether a turn of the caller's is owed one depends on its overlap with the agent:

    in silence ── turn_committed ──▶ owed
        │
        │ overlap_began
        ▼
    undecided ── overlap_cut ──────▶ owed, once committed
        │  (a turn that is committed here waits for the verdict)
        │ overlap_resumed
        ▼
    excused: not owed, unless it began in the agent's last second (`late`: it was meant as a reply),
             or part of it was spoken while the agent was silent (`free`)

A turn over the first words of the opening is answered by the opening: by its rest, if the caller soon fell silent
(`opening_resumed`), or by all of it, which is said after the turn (`opening_repeated`), unless the turn was longer
than a hello.

Example, "mhm" while the agent has 3 s of audio left, and the question after it:

        0 ms  overlap_began(3000)           undecided
      250 ms  turn_committed() ─▶ False     committed, no response yet
      300 ms  overlap_resumed() ─▶ False    excused: none
    3,300 ms  the agent has finished
    4,000 ms  spoke_in_silence()            free
    5,500 ms  turn_committed() ─▶ True      owed
    5,500 ms  create(False) ─▶ "create_2"   active
    5,900 ms  response_created("resp_2")
    7,000 ms  response_done("resp_2")       idle

With 800 ms left at 0 ms the first turn is late: overlap_resumed() returns True, and create() returns an id once the
agent has finished.
"""

from dataclasses import dataclass, field
from typing import Final

REFUSALS: Final = 3
LAST_WORDS_MS: Final = 1_000.0
#: Words before the opening that are no longer than this greet, and the opening answers them.
LONGEST_HELLO_MS: Final = 1_500.0


@dataclass(slots=True)
class _CallerTurn:
    """A turn of the caller's, and its overlap with the agent."""

    undecided: bool = False
    committed: bool = False  # before the verdict
    late: bool = False
    free: bool = False
    excused: bool = False
    began_ms: float | None = None  # if the opening is said after it

    def commit(self) -> bool:
        """End the turn; return whether it is owed a response now."""
        if self.undecided:
            self.committed = True
            return False
        wanted = not self.excused
        self.free = self.excused = False
        return wanted

    def verdict(self, *, excused: bool) -> bool:
        """Apply the overlap's verdict; return whether a turn that ended before it is owed a response now."""
        self.undecided, self.excused = False, excused
        ended, self.committed = self.committed, False
        return ended and self.commit()


@dataclass(slots=True)
class ResponseSchedule:
    """The responses that are owed to the caller, and the one that is active."""

    owed: bool = False
    turns: int = 0  # turns of the caller that were owed one
    active: bool = False  # from its request to its end
    response_id: str | None = None
    _turn: _CallerTurn = field(default_factory=_CallerTurn)
    _creates: int = 0
    _refusals: int = 0

    def overlap_began(self, remaining_ms: float) -> None:
        """Hold the caller's turn until the verdict; the agent has `remaining_ms` left to say."""
        self._turn.undecided, self._turn.late = True, remaining_ms <= LAST_WORDS_MS
        self._turn.began_ms = None

    def overlap_cut(self) -> None:
        """Apply the verdict "cut": a turn committed meanwhile is owed a response."""
        if self._turn.verdict(excused=False):
            self.owe_turn()

    def overlap_resumed(self) -> bool:
        """Apply the verdict "resume"; return whether a turn is owed a response nevertheless."""
        turn = self._turn
        is_owed = turn.verdict(excused=not (turn.late or turn.free))
        if is_owed:
            self.owe_turn()
        return is_owed

    def opening_resumed(self) -> None:
        """Apply the verdict "resume" over the first words of the opening: the rest of it answers the caller's."""
        self._turn.verdict(excused=True)

    def opening_repeated(self, began_ms: float) -> None:
        """Note that the opening is said once the caller, who began at `began_ms`, has finished."""
        self._turn.began_ms = began_ms

    def turn_preceded_opening(self, ended_ms: float) -> bool:
        """End a turn before the opening, by the time of its last voice; return whether there was one.

        A short one is owed no response: the opening answers it.
        """
        turn, began_ms = self._turn, self._turn.began_ms
        if began_ms is None:
            return False
        turn.began_ms, turn.excused = None, ended_ms - began_ms <= LONGEST_HELLO_MS
        return True

    def spoke_in_silence(self) -> None:
        """Note that the caller is speaking while the agent is silent."""
        self._turn.free, self._turn.excused = True, False

    def turn_committed(self) -> bool:
        """End the caller's turn; return whether it is owed a response, and neither excused nor undecided."""
        is_owed = self._turn.commit()
        if is_owed:
            self.owe_turn()
        return is_owed

    def owe_turn(self) -> None:
        """Owe a response to something new from the caller: a turn or keys."""
        self.owed, self.turns = True, self.turns + 1

    def owe_response(self) -> None:
        """Owe a response: a tool returned, the rest of a response is missing, or nothing of one was heard."""
        self.owed = True

    def create(self, agent_audible: bool) -> str | None:
        """Return the id of the request to send now, or None if no response is due."""
        if not self.owed or agent_audible or self._turn.undecided:
            return None
        event_id = self.begin()
        self.owed = self.owed and event_id is None
        return event_id

    def begin(self) -> str | None:
        """Return the id of a request, whether or not a response is owed; None while one is active."""
        if self.active:
            return None
        self.active, self.response_id = True, None
        self._creates += 1
        return f"create_{self._creates}"

    def response_created(self, response_id: str) -> None:
        """Record the id of the active response."""
        self.active, self.response_id = True, response_id

    def response_done(self, response_id: str, failed: bool = False, retried: bool = False) -> None:
        """End the active response; a failed one is owed again, unless it was a prompt's, which is `retried`."""
        if self.active and self.response_id in (None, response_id):
            self.active, self.response_id = False, None
            self._refusals = self._refusals + 1 if failed else 0
            self.owed |= failed and not retried

    def refused(self, event_id: str | None, retried: bool = False) -> None:
        """Owe the response again that the server refused to create, since the caller still waits for it.

        None is owed for a prompt's, which is `retried`.
        """
        if self.active and self.response_id is None and event_id == f"create_{self._creates}":
            self.active = False
            self._refusals += 1
            self.owed |= not retried

    @property
    def failing(self) -> bool:
        """Whether the session has refused or failed so many responses in a row that it should be replaced."""
        return self._refusals >= REFUSALS

    def session_lost(self) -> None:
        """Owe an active response to the next session, and reset the count of refusals."""
        self.owed |= self.active
        self._refusals = 0
        self.active, self.response_id = False, None
