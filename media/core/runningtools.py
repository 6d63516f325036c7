"""The agent's tools: which exist, which are running, and their time limits.

The model calls a tool; control runs it and may reply late, out of order, twice or never.  Each tool call gets
exactly one result; further replies are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import msgspec

from media.core.modelmessages import Tool

MAX_RUNNING: Final = 16  # at once, in one call
#: Ids that are remembered, so that no tool call is run twice.
MAX_KNOWN: Final = 256
MAX_ARGUMENTS: Final = 32_768  # characters

UNKNOWN_TOOL = "There is no tool of this name."
TOO_MANY = "Too many tools are running."
TOO_LONG = "The arguments are too long."
TIMED_OUT = "The tool did not answer in time."
INTERRUPTED = "The caller interrupted; the tool was not run."
GOES_ON = (
    "The caller spoke before they had heard your last words, so the call was not ended. Answer them; end the call again when "
    "they have nothing more to say."
)
CALL_ENDED = "The call ended before the tool answered."


def error_json(sentence: str) -> str:
    """Return the output that the model gets for a tool without a result."""
    return msgspec.json.encode({"error": sentence}).decode()


class Audience(Enum):
    """The recipient of a tool's result."""

    CALLER = auto()  # the caller is waiting for a response
    # The caller has interrupted; the model still needs the result for a complete conversation.
    MODEL = auto()
    # The session that called it is gone: its successor gets the result as text.
    NEXT_SESSION = auto()


@dataclass(frozen=True, slots=True)
class _Running:
    tool: Tool
    response_id: str
    deadline_ms: float
    audience: Audience = Audience.CALLER


@dataclass(slots=True)
class Tools:
    """The tools of one call's agent, and those that are running."""

    tools: Mapping[str, Tool]
    #: Why the agent is not offered other tools, by name.
    unavailable: Mapping[str, str] = field(default_factory=dict)
    _running: dict[str, _Running] = field(default_factory=dict)
    _known: dict[str, None] = field(default_factory=dict)  # in the order of the calls

    def seen_before(self, tool_call_id: str) -> bool:
        """Return whether the model has used this call id before; remember it."""
        if tool_call_id in self._known:
            return True
        self._known[tool_call_id] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return False

    def refusal(self, name: str, arguments_json: str) -> str | None:
        """Return why this tool call is refused; None if it is not."""
        if name not in self.tools:
            return self.unavailable.get(name, UNKNOWN_TOOL)
        if len(arguments_json) > MAX_ARGUMENTS:
            return TOO_LONG
        return TOO_MANY if len(self._running) >= MAX_RUNNING else None

    def run(self, tool_call_id: str, name: str, response_id: str, now_ms: float) -> None:
        tool = self.tools[name]
        self._running[tool_call_id] = _Running(tool, response_id, now_ms + tool.timeout_ms)

    def finish(self, tool_call_id: str) -> tuple[str, Audience] | None:
        """End a running tool; return its name and the audience of its result, or None if it is not running."""
        running = self._running.pop(tool_call_id, None)
        return None if running is None else (running.tool.name, running.audience)

    def timed_out(self, now_ms: float) -> Sequence[str]:
        """Return the ids of the tools that have timed out."""
        if not self._running:  # runs on every tick
            return ()
        return [tool_call_id for tool_call_id, running in self._running.items() if now_ms >= running.deadline_ms]

    def interrupted(self, response_id: str) -> None:
        """Record that the caller interrupted this response, and so does not wait for the tools that it called."""
        for tool_call_id, running in self._running.items():
            if running.response_id == response_id and running.audience is Audience.CALLER:
                self._running[tool_call_id] = _for_audience(running, Audience.MODEL)

    def session_lost(self) -> None:
        for tool_call_id, running in self._running.items():
            self._running[tool_call_id] = _for_audience(running, Audience.NEXT_SESSION)

    def running(self) -> list[str]:
        return list(self._running)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for a tool."""
        # A generator would be a third of the cost, on every tick.
        for running in self._running.values():  # noqa: SIM110
            if running.audience is not Audience.MODEL:
                return True
        return False


def _for_audience(running: _Running, audience: Audience) -> _Running:
    return _Running(running.tool, running.response_id, running.deadline_ms, audience)
