"""The state of a call that moves to another process, apart from its sockets and files."""

from dataclasses import dataclass

from media.carried import Carried


@dataclass(slots=True)
class Luggage:
    """A moving call: its state, its running tools (serialized RunTool), and reports that control may lack (serialized Report)."""

    carried: Carried
    tools: list[bytes]
    reports: list[bytes]
    redials: bool  # the model's socket stays behind
