"""What is sent at once or never: what is being said now, for readers of the live stream and for the call's next stream;
answers to commands; and what became of browsers' offers.
"""

from collections.abc import Iterator

from hum.v1 import runtime_pb2 as pb

MAX_DELTAS = 2_000  # per process, between two writes


class LiveMessages:
    def __init__(self) -> None:
        self._deltas: list[pb.CallDelta] = []
        self._under_way: dict[str, pb.CallUnderWay] = {}  # the latest of each call
        self._answers: list[pb.CommandAnswer] = []
        self._replies: list[pb.BrowserReply] = []
        self.up = False  # whether there is a link

    def __bool__(self) -> bool:
        return bool(self._deltas or self._under_way or self._answers or self._replies)

    def delta(self, delta: pb.CallDelta) -> None:
        """Add a delta, unless there are too many."""
        if self.up and len(self._deltas) < MAX_DELTAS:
            self._deltas.append(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Replace the call's unfinished turns."""
        if self.up:
            self._under_way[call.call_id] = call

    def reply(self, reply: pb.BrowserReply) -> None:
        if self.up:
            self._replies.append(reply)

    def set_up(self, up: bool) -> None:
        """The link is there, or lost, and with it what was to be sent."""
        self.up = up
        if not up:
            self.clear()

    def answer(self, answer: pb.CommandAnswer) -> None:
        """Add an answer to a command; there is one for each command."""
        self._answers.append(answer)

    def drain(self) -> Iterator[pb.LinkUp]:
        """Everything since the last time, as one message of each kind."""
        deltas, under_way, answers, replies = self._deltas, self._under_way, self._answers, self._replies
        self.clear()
        for reply in replies:
            yield pb.LinkUp(browser=reply)
        for answer in answers:
            yield pb.LinkUp(answer=answer)
        if deltas:
            up = pb.LinkUp()
            up.deltas.deltas.extend(
                deltas
            )  # in place: a message that is given to another's constructor is copied again
            yield up
        if under_way:
            up = pb.LinkUp()
            up.under_way.calls.extend(under_way.values())
            yield up

    def clear(self) -> None:
        self._deltas, self._under_way, self._answers, self._replies = [], {}, [], []
