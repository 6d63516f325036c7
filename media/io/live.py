"""What is being said now, for readers of the live stream and for the call's next stream; sent at once or never."""

from collections.abc import Iterator

from hum.v1 import runtime_pb2 as pb

MAX_DELTAS = 2_000  # per process, between two writes


class Live:
    def __init__(self) -> None:
        self._deltas: list[pb.CallDelta] = []
        self._under_way: dict[str, pb.CallUnderWay] = {}  # the latest of each call

    def __bool__(self) -> bool:
        return bool(self._deltas or self._under_way)

    def delta(self, delta: pb.CallDelta) -> None:
        """Add a delta, unless there are too many."""
        if len(self._deltas) < MAX_DELTAS:
            self._deltas.append(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Replace the call's unfinished turns."""
        self._under_way[call.call_id] = call

    def take(self) -> Iterator[pb.LinkUp]:
        """Everything since the last time, as one message of each kind."""
        deltas, under_way = self._deltas, self._under_way
        self.clear()
        if deltas:
            yield pb.LinkUp(deltas=pb.CallDeltas(deltas=deltas))
        if under_way:
            yield pb.LinkUp(under_way=pb.CallsUnderWay(calls=under_way.values()))

    def clear(self) -> None:
        self._deltas, self._under_way = [], {}
