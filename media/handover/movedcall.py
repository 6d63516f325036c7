"""The state of a call that moves to another process, apart from its sockets and files."""

from dataclasses import dataclass

from media.callstate import CallState


@dataclass(slots=True)
class MovedCall:
    """A moving call: its state, its running tools (serialized RunTool), and reports that control may lack (serialized Report)."""

    state: CallState
    tools: list[bytes]
    reports: list[bytes]
    redials: bool  # the model's socket stays behind
