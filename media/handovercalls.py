"""The calls that are being handed over to another process, and the commands that arrive for them."""

from collections.abc import Callable

from hum.v1 import runtime_pb2 as pb
from media.shell import Shell

#: For one call, in the few ms of its handover.
MAX_COMMANDS = 100
FULL = "full"


class HandoverCalls:
    """The calls that are being handed over, each with its queue of commands; `answer` gets id and outcome of those that are refused."""

    def __init__(self, answer: Callable[[str, str], None]) -> None:
        self._answer = answer
        self.calls: dict[Shell, list[pb.CallCommand]] = {}
        #: Forward a command for a call that has moved, as far as possible; False if this process has handed over no such call.
        self.forward: Callable[[pb.CallCommand], bool] = lambda _: False

    def queue(self, shell: Shell, command: pb.CallCommand) -> bool:
        """Queue a command until it is known which process has the call, or refuse it if too many wait.

        Return False if the call is not being handed over.
        """
        queued = self.calls.get(shell)
        if queued is None:
            return False
        if len(queued) < MAX_COMMANDS:
            queued.append(command)
        else:
            self._answer(command.command_id, FULL)
        return True
