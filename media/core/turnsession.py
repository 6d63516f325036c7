"""Sessions of a model that is asked for each response."""

from media.core.calltranscript import CallTranscript
from media.core.modelmessages import AddMessage, Author, BeginSession, FunctionResult, ItemHeard, ReplaceInstructions
from media.core.plans import AgentPlan
from media.core.runningtools import GOES_ON, error_json
from media.core.session import Session, instructions
from media.core.types import Emit


class TurnSession(Session):
    """The session of a `TurnModel`."""

    __slots__ = ("_turn_id",)

    def __init__(self, agent: AgentPlan, session_ms: int, transcript: CallTranscript, emit: Emit) -> None:
        super().__init__(agent, session_ms, transcript, emit)
        self._turn_id = ""  # the caller's last turn in this session

    def add_message(self, author: Author, text: str) -> None:
        self.send(AddMessage(author, text))

    def send_context(self) -> None:
        self.send(ReplaceInstructions(instructions(self._agent)))

    def begin(self) -> None:
        self._turn_id = ""
        self.send(BeginSession(instructions(self._agent), self._agent.tools))
        for author, text in self._transcript.history():
            self.add_message(author, text)

    def turn_committed(self, turn_id: str) -> None:
        """Record the id of the caller's last turn in this session."""
        self._turn_id = turn_id

    def add_agent_text(self, text: str, *, filler: bool) -> None:
        self.send(AddMessage("agent", text, self._turn_id or None if filler else None))

    def truncate_item(self, item_id: str, heard_ms: int) -> None:
        self.send(ItemHeard(item_id, heard_ms))

    def answer_tool(self, tool_call_id: str, output_json: str, *, awaited: bool = True) -> None:  # noqa: ARG002
        self.send(FunctionResult(tool_call_id, output_json))

    def revoke_end(self, tool_call_id: str) -> None:
        self.answer_tool(tool_call_id, error_json(GOES_ON))

    def announce_end(self, tool_call_id: str, output_json: str) -> None:
        """Do nothing: the model says its last words before it calls such a tool."""
