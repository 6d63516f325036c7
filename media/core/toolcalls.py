"""The model's tool calls: run by control, carried out by the call itself, or refused."""

from typing import Final

from media.core.commands import Sequel, SwitchFlow
from media.core.legmessages import HangUp, MoveOn, Outcome
from media.core.modelmessages import FunctionCalled
from media.core.plans import AgentPlan, PauseRules
from media.core.recordingpauses import BY_TOOL, NOTHING_JSON, RecordingPauses
from media.core.runningtools import (
    CALL_ENDED,
    GOES_ON,
    INTERRUPTED,
    MAX_ARGUMENTS,
    TIMED_OUT,
    Audience,
    Tools,
    error_json,
)
from media.core.session import Session
from media.core.speechrequests import SpeechRequests
from media.core.types import Emit, Report, RunTool, ToolCalled, ToolFinished, ToolStatus

MAX_NAME: Final = 64  # characters of a function's name


class ToolCalls:
    """The tool calls of one call."""

    __slots__ = (
        "_emit",
        "_ending_call_id",
        "_names",
        "_result_pending",
        "_session",
        "_speech",
        "agent_tools",
        "recording_pauses",
        "requested_outcome",
        "successor",
    )

    def __init__(
        self, agent: AgentPlan, session: Session, speech: SpeechRequests, recording_pauses: RecordingPauses
    ) -> None:
        self.agent_tools = Tools({tool.name: tool for tool in agent.tools}, agent.unavailable_tools)
        self.recording_pauses = recording_pauses
        # The outcome that a tool has requested for the call.
        self.requested_outcome: Outcome | None = None
        self.successor: SwitchFlow | None = None  # the next agent of the call
        self._session, self._speech = session, speech
        self._emit: Emit = recording_pauses.emit
        self._names: dict[str, str] = {}  # of functions, by item id
        # The tool call that is to end the call, until the agent has finished speaking.
        self._ending_call_id = ""
        # A result has come but no response was requested, since another tool is running.
        self._result_pending = False

    def function_named(self, item_id: str, name: str) -> None:
        """Record the name of a function, which some servers send only with its output item."""
        self._names[item_id] = name

    def called(
        self, event: FunctionCalled, now_ms: float, said_ms: float, *, cancelled: bool, task_json: str = ""
    ) -> None:
        """Carry out a tool call of the model's.

        `cancelled`: the caller has interrupted its response.  What the model has said so far will have been heard at
        `said_ms`.  `task_json`: what the tool gets instead of the model's arguments.
        """
        item_name = self._names.pop(event.item_id, "")
        name, tools = event.name or item_name, self.agent_tools
        if tools.seen_before(event.tool_call_id):
            return
        refusal = INTERRUPTED if cancelled else tools.refusal(name, event.arguments_json)
        switch = tools.tools[name].recording if name in tools.tools else None
        if switch == "pause":
            # A caller who tells a secret while the agent still asks for it is not to be recorded either.
            refusal = None
        self.recording_pauses.tool_called(event.tool_call_id, name, now_ms)
        self._emit(Report(ToolCalled(event.tool_call_id, name[:MAX_NAME], event.arguments_json[:MAX_ARGUMENTS])))
        if refusal is not None:
            output = error_json(refusal)
            self._emit(Report(ToolFinished(event.tool_call_id, output, "failed")))
            self.recording_pauses.tool_finished(event.tool_call_id)
            self._session.answer_tool(event.tool_call_id, output)
            if not cancelled:
                self._owe_response_after_last()
            return
        if switch is not None:
            self._switch(switch, event.tool_call_id, now_ms, said_ms)
            return
        outcome = tools.tools[name].outcome
        if outcome is not None:  # carried out by the call itself
            self.confirm_end()
            self.requested_outcome, self._ending_call_id = outcome, event.tool_call_id
            return
        tools.run(event.tool_call_id, name, event.response_id, now_ms)
        off_record = self.recording_pauses.is_secret(event.tool_call_id)
        self._emit(RunTool(event.tool_call_id, name, task_json or event.arguments_json, off_record))

    def _switch(self, switch: str, tool_call_id: str, now_ms: float, said_ms: float) -> None:
        """Pause or resume the recording; the model continues at once."""
        if switch == "pause":
            self.recording_pauses.pause(BY_TOOL, now_ms)
        else:
            self.recording_pauses.resume(now_ms, said_ms)
        self._emit(Report(ToolFinished(tool_call_id, NOTHING_JSON, "ok")))
        self.recording_pauses.tool_finished(tool_call_id)
        self._session.answer_tool(tool_call_id, NOTHING_JSON)
        self._owe_response_after_last()

    def result(
        self, tool_call_id: str, output_json: str, status: ToolStatus, now_ms: float, sequel: Sequel | None = None
    ) -> bool:
        """Process a tool's result; return False, and ignore it, if that tool is not running.

        A switch or a next step ends the agent's part, even if the caller has spoken since: what the tool arranged is
        already happening.  An end can be revoked until the last words were heard.  After keys were pressed the agent listens: no
        response is owed.
        """
        finished = self.agent_tools.finish(tool_call_id)
        if finished is None:
            return False
        name, audience = finished
        if isinstance(sequel, HangUp):
            self.confirm_end()
            self._session.announce_end(tool_call_id, output_json)
            self.requested_outcome, self._ending_call_id = sequel, tool_call_id
            return True
        self._emit(Report(ToolFinished(tool_call_id, output_json, status)))
        self.recording_pauses.tool_finished(tool_call_id)
        if isinstance(sequel, SwitchFlow):
            self.successor = sequel
            return True
        if isinstance(sequel, MoveOn):
            self._session.announce_end(tool_call_id, output_json)
            self.requested_outcome = sequel
            return True
        if audience is Audience.NEXT_SESSION:
            text, clock = f"The tool {name}, called before, has returned: {output_json}", self.recording_pauses.clock
            self._session.note(f"result_{tool_call_id}", "system", text, clock.call_ms(now_ms))
        else:
            self._session.answer_tool(tool_call_id, output_json, awaited=audience is Audience.CALLER)
        if sequel is None and (audience is not Audience.MODEL or self._result_pending):
            self._owe_response_after_last(in_session=audience is not Audience.NEXT_SESSION)
        return True

    def _owe_response_after_last(self, *, in_session: bool = True) -> None:
        """Owe a response once the caller waits for no other tool; `in_session` if the model itself has got the result."""
        self._result_pending = self.agent_tools.awaited
        if self._result_pending:
            return
        if in_session:
            self._speech.owe_answer()
        else:
            self._speech.owe_response()

    def watch(self, now_ms: float) -> None:
        """Fail the tools that have timed out, so that the model knows, and end a pause that is too long."""
        self.recording_pauses.watch(now_ms)
        for tool_call_id in self.agent_tools.timed_out(now_ms):
            self.result(tool_call_id, error_json(TIMED_OUT), "failed", now_ms)

    @property
    def revocable(self) -> bool:
        """Whether the end that the agent has asked for can still be revoked."""
        return bool(self._ending_call_id)

    def confirm_end(self) -> None:
        """Make the agent's end of the call final: its last words were heard, or its session is gone."""
        if self._ending_call_id:
            self._finish_ending("{}", "ok")

    def revoke_end(self) -> None:
        """Revoke the agent's end of the call, as the caller interrupted its last words, and tell the model."""
        if self._ending_call_id:
            self._session.revoke_end(self._ending_call_id)
            self._finish_ending(error_json(GOES_ON), "failed")
            self.requested_outcome = None

    def _finish_ending(self, output_json: str, status: ToolStatus) -> None:
        self._emit(Report(ToolFinished(self._ending_call_id, output_json, status)))
        self.recording_pauses.tool_finished(self._ending_call_id)
        self._ending_call_id = ""

    def follow(self, agent: AgentPlan, pauses: PauseRules) -> None:
        """Offer another agent's tools from now on; running ones continue."""
        self.agent_tools.tools = {tool.name: tool for tool in agent.tools}
        self.agent_tools.unavailable = agent.unavailable_tools
        self.recording_pauses.follow(pauses)

    def session_lost(self) -> None:
        self.confirm_end()
        self.agent_tools.session_lost()

    def end(self) -> None:
        """End the call, and with it the running tools."""
        self.confirm_end()
        for tool_call_id in self.agent_tools.running():
            self.agent_tools.finish(tool_call_id)
            self._emit(Report(ToolFinished(tool_call_id, error_json(CALL_ENDED), "failed")))
