"""The commands for calls that may still be joining: each waits for the streams without a call that were open when it came."""

from collections.abc import Callable

from hum.v1 import runtime_pb2 as pb
from media.shell import Shell

MAX_COMMANDS = 1_000
OVER = "over"


class EarlyCommands:
    """The commands of one process that no call has received yet; `answer` gets the id and outcome of those that none will."""

    def __init__(self, answer: Callable[[str, str], None]) -> None:
        self._answer = answer
        #: By number, oldest first: a command, and the streams that may still become its call.
        self._waiting: dict[int, tuple[pb.CallCommand, set[Shell]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, command: pb.CallCommand, streams: set[Shell]) -> None:
        """Add a command that waits for these streams; the oldest of too many is answered: it is likeliest to be obsolete."""
        if not streams:
            self._answer(command.command_id, OVER)
            return
        if len(self._waiting) >= MAX_COMMANDS:
            self._end(next(iter(self._waiting)))
        self._count += 1
        self._waiting[self._count] = command, streams

    def joined(self, stream: Shell) -> list[pb.CallCommand]:
        """Remove and return the commands for the call that a stream has become; the others wait for it no longer."""
        numbers = [number for number, (command, _) in self._waiting.items() if command.call_id == stream.call_id]
        commands = [self._waiting.pop(number)[0] for number in numbers]
        self.released(stream)
        return commands

    def released(self, stream: Shell) -> None:
        """Let no command wait for a stream any longer; answer those that waited for nothing else."""
        for number, (_, streams) in tuple(self._waiting.items()):
            streams.discard(stream)
            if not streams:
                self._end(number)

    def _end(self, number: int) -> None:
        command, _ = self._waiting.pop(number)
        self._answer(command.command_id, OVER)
