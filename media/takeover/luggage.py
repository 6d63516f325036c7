"""What a call takes along to another process, apart from its sockets and files."""

from dataclasses import dataclass

from media.carried import Carried


@dataclass(slots=True)
class Luggage:
    """Its tools that still run (RunTool), and its reports that control may not have (Report), as the wire has them."""

    carried: Carried
    tools: list[bytes]
    reports: list[bytes]
    redials: bool  # its model's socket stays behind
