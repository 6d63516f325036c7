"""The pending tool requests to control.

Each request is sent again on every new link until it is answered or cancelled.  Control runs it once, however often it arrives.
"""

from collections.abc import Callable

from hum.v1 import runtime_pb2 as pb

MAX_OPEN = 2_000  # per process

Answer = Callable[[pb.ToolResult], None]
#: `call_id` and `tool_call_id`, which is the model's.
_Key = tuple[str, str]


class ToolRequests:
    """The pending requests of this process, by call and tool call."""

    def __init__(self) -> None:
        self._pending: dict[_Key, tuple[pb.RunTool, Answer]] = {}
        self._unsent: dict[_Key, pb.RunTool] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request: pb.RunTool, answer: Answer) -> bool:
        """Add a request; `answer` is called at most once.  Return False and drop the request if too many are pending."""
        if len(self._pending) >= MAX_OPEN:
            return False
        key = request.call_id, request.tool_call_id
        self._pending[key] = request, answer
        self._unsent[key] = request
        return True

    def cancel(self, call_id: str, tool_call_id: str) -> None:
        """Remove a request: its result is no longer needed."""
        self._pending.pop((call_id, tool_call_id), None)
        self._unsent.pop((call_id, tool_call_id), None)

    def withdraw(self, call_id: str) -> list[pb.RunTool]:
        """Remove and return a call's pending requests: the process that continues the call makes them again."""
        keys = [key for key in self._pending if key[0] == call_id]
        for key in keys:
            self._unsent.pop(key, None)
        return [self._pending.pop(key)[0] for key in keys]

    def drain(self) -> list[pb.RunTool]:
        """Return the requests that were not sent on this link yet, and mark them as sent."""
        requests = list(self._unsent.values())
        self._unsent.clear()
        return requests

    def begin_link(self) -> None:
        """Mark all pending requests as unsent: the link is new."""
        self._unsent = {key: request for key, (request, _) in self._pending.items()}

    def answered(self, result: pb.ToolResult) -> None:
        """Deliver a result; ignore it if its request was cancelled."""
        key = result.call_id, result.tool_call_id
        self._unsent.pop(key, None)
        _, answer = self._pending.pop(key, (None, None))
        if answer is not None:
            answer(result)
