"""A small client of `GET /api/calls/{id}/stream`, as docs/contract.md describes it: what a page shows of a call."""

from dataclasses import dataclass
from typing import Any

NEVER = float("inf")


@dataclass
class Line:
    """An utterance: what was said so far, or (with a number) the turn."""

    item_id: str
    role: str
    start_ms: int
    text: str = ""
    seq: float = NEVER


class Transcript:
    """Fed with a stream's events, it can be shown at any time."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self.running_tools: dict[str, str] = {}
        self.is_over = False

    def feed(self, event: str, data: dict[str, Any]) -> None:
        match event:
            case "transcript.delta":
                line = self._lines.setdefault(data["item_id"], Line(data["item_id"], data["role"], data["start_ms"]))
                assert line.seq == NEVER, f"a delta after its turn: {data}"
                assert line.role == data["role"]
                line.text += data["text"]
            case "transcript.turn":
                own = {name: data[name] for name in ("item_id", "role", "start_ms", "text", "seq")}
                self._lines[data["item_id"]] = Line(**own)
            case "tool.started":
                assert data["id"] not in self.running_tools
                self.running_tools[data["id"]] = data["name"]
            case "tool.finished":
                assert self.running_tools.pop(data["id"]) == data["name"]
            case "call.ended":
                self.is_over = True

    def shown(self) -> list[Line]:
        """The lines in the order of speech; once the call is over, without what never became a turn."""
        kept = [line for line in self._lines.values() if not self.is_over or line.seq != NEVER]
        return sorted(kept, key=lambda line: (line.start_ms, line.seq))
