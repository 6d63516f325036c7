"""Calls on their way to another process, and the commands that come for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hum.v1 import runtime_pb2 as pb

if TYPE_CHECKING:
    from media.shell import Shell

#: For one call, in the few ms that it is on its way.
MAX_COMMANDS = 100


class MovingCalls:
    def __init__(self) -> None:
        self.calls: dict[Shell, list[pb.CallCommand]] = {}
        #: Send a command after a call that has left; False if this process never had it.
        self.forward: Callable[[pb.CallCommand], bool] = lambda _: False

    def queue(self, shell: "Shell", command: pb.CallCommand) -> bool:
        """Keep the command until it is known who has the call; False if the call is not on its way."""
        queued = self.calls.get(shell)
        if queued is not None and len(queued) < MAX_COMMANDS:
            queued.append(command)
        return queued is not None
