"""The tasks that a duplex model leaves to us, one at a time.

A task has no text of its own: the conversation, as it was heard, is its text.  So the newest one stands for those that wait with
it, and one that comes while another runs makes that one's result no answer any more, but a fact that its own answer builds on.

waiting ── the caller's words have come, and none runs ──▶ running ── its result, or its time is over ──▶ answered
"""

from collections.abc import Callable
from typing import Final

from media.core.duplexsession import DuplexSession
from media.core.modelmessages import FunctionCalled
from media.core.toolcalls import ToolCalls

#: The tool that a task is left to (`control/calls/delegation.py`).
DELEGATE: Final = "delegate"
#: A task waits for the caller's words to come, but not for longer; with so much between two of them.
LONGEST_WORDS_MS, WORDS_APART_MS = 1_500.0, 300.0
#: After which the model is told that a task goes on.
PROGRESS_MS: Final = 4_000.0
GOES_ON: Final = "This is still being worked on; the caller may be told so, once."
COVERED: Final = "A later task covers this one: its answer follows with that one."


class Delegations:
    """The tasks of one call."""

    __slots__ = ("_began_ms", "_came_ms", "_running", "_session", "_tools", "_waiting")

    def __init__(self, session: DuplexSession, tools: ToolCalls) -> None:
        self._session, self._tools = session, tools
        # Ids of tasks; "" if there is none.
        self._waiting = self._running = ""
        self._came_ms = 0.0
        self._began_ms = float("inf")  # infinite also once the model was told that it goes on

    @property
    def waits(self) -> bool:
        """Whether a task has not begun."""
        return bool(self._waiting)

    def delegated(self, id: str, now_ms: float) -> None:
        """Take a task."""
        if id in {self._waiting, self._running}:
            return
        if self._waiting:
            self._session.tell("fact", COVERED, self._waiting)
        self._waiting, self._came_ms = id, now_ms
        self._tools.agent_tools.interrupted("")

    def proceed(self, now_ms: float, voiced_ms: float, words_ms: float, task_json: Callable[[], str]) -> None:
        """Begin the task that waits, once the caller's words have come: they spoke and were understood last at these times."""
        if self._tools.agent_tools.busy:
            if now_ms - self._began_ms >= PROGRESS_MS:
                self._began_ms = float("inf")
                self._session.tell("fact", GOES_ON, self._running)
            return
        have_come = words_ms >= voiced_ms and now_ms - words_ms >= WORDS_APART_MS
        if self._waiting and (have_come or now_ms - self._came_ms >= LONGEST_WORDS_MS):
            self._begin(now_ms, task_json)

    def _begin(self, now_ms: float, task_json: Callable[[], str]) -> None:
        self._running, self._waiting, self._began_ms = self._waiting, "", now_ms
        task = FunctionCalled("", "", self._running, "{}", DELEGATE)
        self._tools.called(task, now_ms, now_ms, cancelled=False, task_json=task_json())

    def session_lost(self, now_ms: float, task_json: Callable[[], str]) -> None:
        """Begin the task that waits at once, unless one runs: then the next session has the conversation, and leaves it to us again."""
        if self._waiting and not self._tools.agent_tools.busy:
            self._begin(now_ms, task_json)
        self.clear()

    def clear(self) -> None:
        """Forget the tasks: nobody waits for their answers."""
        self._waiting, self._began_ms = "", float("inf")
