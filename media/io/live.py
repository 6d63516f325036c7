"""The messages to control that are sent at once or never.

They are transcript deltas and unfinished turns, answers to commands, and the outcomes of browsers' offers.
"""

from collections.abc import Iterator

from hum.v1 import runtime_pb2 as pb

MAX_DELTAS = 2_000  # per process, between two writes


class LiveMessages:
    """The pending live messages; discarded when the link is lost."""

    def __init__(self) -> None:
        self._deltas: list[pb.CallDelta] = []
        self._under_way: dict[str, pb.CallUnderWay] = {}  # the latest of each call
        self._answers: list[pb.CommandAnswer] = []
        self._replies: list[pb.BrowserReply] = []
        self.up = False  # whether the link is up

    def __bool__(self) -> bool:
        return bool(self._deltas or self._under_way or self._answers or self._replies)

    def delta(self, delta: pb.CallDelta) -> None:
        """Queue a transcript delta; drop it if the queue is full or the link is down."""
        if self.up and len(self._deltas) < MAX_DELTAS:
            self._deltas.append(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Queue the call's unfinished turns, in place of earlier ones; drop them if the link is down."""
        if self.up:
            self._under_way[call.call_id] = call

    def reply(self, reply: pb.BrowserReply) -> None:
        """Queue a browser offer's outcome; drop it if the link is down."""
        if self.up:
            self._replies.append(reply)

    def set_up(self, up: bool) -> None:
        """Set whether the link is up; when it is lost, discard the pending messages."""
        self.up = up
        if not up:
            self.clear()

    def answer(self, answer: pb.CommandAnswer) -> None:
        """Queue the answer to a command; each command has one."""
        self._answers.append(answer)

    def drain(self) -> Iterator[pb.LinkUp]:
        """Remove and yield the pending messages; deltas and unfinished turns are one message each."""
        deltas, under_way, answers, replies = self._deltas, self._under_way, self._answers, self._replies
        self.clear()
        for reply in replies:
            yield pb.LinkUp(browser=reply)
        for answer in answers:
            yield pb.LinkUp(answer=answer)
        if deltas:
            up = pb.LinkUp()
            # In place: a message that is passed to another's constructor is copied once more.
            up.deltas.deltas.extend(deltas)
            yield up
        if under_way:
            up = pb.LinkUp()
            up.under_way.calls.extend(under_way.values())
            yield up

    def clear(self) -> None:
        """Discard the pending messages."""
        self._deltas, self._under_way, self._answers, self._replies = [], {}, [], []
