"""The model's function calls, carried out: by control, by the call itself, or not at all."""

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.leg import Outcome
from media.core.session import Session
from media.core.tools import CALL_ENDED, INTERRUPTED, MAX_ARGUMENTS, TIMED_OUT, Audience, Tools, error_json
from media.core.types import CallPlan, Emit, Report, RunTool, ToolCalled, ToolFinished, ToolStatus

MAX_NAME = 64  # characters of a function's name


class ToolCalls:
    __slots__ = ("_answered", "_answers", "_emit", "_names", "_session", "_tools", "leaving")

    def __init__(self, plan: CallPlan, session: Session, answers: Answers, emit: Emit) -> None:
        self.leaving: Outcome | None = None  # how a tool of the agent's has asked to end the call
        self._session, self._answers, self._emit = session, answers, emit
        self._tools = Tools({tool.name: tool for tool in plan.tools})
        self._names: dict[str, str] = {}  # of functions, by item id
        self._answered = False  # a result came but no answer was requested, since another tool is running

    @property
    def busy(self) -> bool:
        """Whether one is running."""
        return self._tools.busy

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for one."""
        return self._tools.awaited

    def named(self, item_id: str, name: str) -> None:
        """Some servers name the function only in its output item."""
        self._names[item_id] = name

    def called(self, event: rt.FunctionArgumentsDone, now_ms: float, *, cancelled: bool) -> None:
        """The model calls a tool; `cancelled` if the caller has interrupted the response that does."""
        named = self._names.pop(event.item_id, "")
        name, tools = event.name or named, self._tools
        if tools.known(event.call_id):
            return
        refusal = INTERRUPTED if cancelled else tools.refusal(name, event.arguments)
        self._emit(Report(ToolCalled(event.call_id, name[:MAX_NAME], event.arguments[:MAX_ARGUMENTS])))
        if refusal is not None:
            output = error_json(refusal)
            self._emit(Report(ToolFinished(event.call_id, output, "failed")))
            self._session.send(rt.function_output(event.call_id, output))
            if not cancelled:
                self._answer_once_all_are_in()
            return
        outcome = tools.tools[name].outcome
        if outcome is not None:  # carried out by the call itself
            self._emit(Report(ToolFinished(event.call_id, "{}", "ok")))
            self.leaving = outcome
            return
        tools.run(event.call_id, name, event.response_id, now_ms)
        self._emit(RunTool(event.call_id, name, event.arguments))

    def result(self, call_id: str, output_json: str, status: ToolStatus) -> None:
        """A tool's result; ignored if that tool is not running."""
        finished = self._tools.finish(call_id)
        if finished is None:
            return
        name, audience = finished
        self._emit(Report(ToolFinished(call_id, output_json, status)))
        if audience is Audience.NEXT_SESSION:
            self._session.note("system", f"The tool {name}, called before, has returned: {output_json}")
        else:
            self._session.send(rt.function_output(call_id, output_json))
        if audience is not Audience.MODEL or self._answered:
            self._answer_once_all_are_in()

    def _answer_once_all_are_in(self) -> None:
        self._answered = self._tools.awaited
        if not self._answered:
            self._answers.owe()

    def watch(self, now_ms: float) -> None:
        """Fail the tools whose time is up, so that the model hears that there is no result."""
        for call_id in self._tools.late(now_ms):
            self.result(call_id, error_json(TIMED_OUT), "failed")

    def interrupted(self, response_id: str) -> None:
        """The caller took the floor from this response."""
        self._tools.interrupted(response_id)

    def session_lost(self) -> None:
        self._tools.session_lost()

    def end(self) -> None:
        """The call is over, whatever is running."""
        for call_id in self._tools.running():
            self._tools.finish(call_id)
            self._emit(Report(ToolFinished(call_id, error_json(CALL_ENDED), "failed")))
