"""The minutes of a call: turns in the order of speech, each followed by its latency and its interruptions."""

from collections.abc import Sequence
from dataclasses import replace

from media.core.latency import Latency
from media.core.turns import Turns
from media.core.types import BargedIn, Emit, Report, Role, TurnEnded


class Minutes:
    __slots__ = ("_emit", "_overlaps", "_turns", "latency")

    def __init__(self, emit: Emit, transcript_deadline_ms: int) -> None:
        self.latency = Latency()
        self._emit = emit
        self._turns = Turns(transcript_deadline_ms)
        self._overlaps: list[BargedIn] = []  # kept until the turns that were spoken over have their numbers

    def caller_began(self, item_id: str, at_ms: int, now_ms: float) -> None:
        self._turns.caller_began(item_id, at_ms, now_ms)

    def caller_ended(self, item_id: str, at_ms: int, now_ms: float) -> None:
        self._turns.caller_ended(item_id, at_ms, now_ms)

    def caller_text(self, item_id: str, text: str) -> None:
        self._turns.caller_text(item_id, text)

    def agent_began(self, item_id: str, at_ms: int) -> None:
        self._turns.agent_began(item_id, at_ms)

    def agent_ended(self, item_id: str, words: tuple[str, str], at_ms: int, *, interrupted: bool) -> None:
        """`words`: the whole text, and the part that was heard."""
        self._turns.agent_ended(item_id, *words, at_ms, interrupted)

    def barged_in(self, overlap: BargedIn) -> None:
        """Report an overlap after its turn; at once if the caller heard nothing of that turn."""
        if self._turns.waits(overlap.item_id):
            self._overlaps.append(overlap)
        else:
            self._emit(Report(overlap))

    def so_far(self) -> Sequence[tuple[Role, str]]:
        """What was said so far, including turns that are not reported yet."""
        return self._turns.so_far()

    def report(self, now_ms: float) -> None:
        """Report the turns that are final."""
        for item_id, turn in self._turns.ready(now_ms):
            self._report(item_id, turn)

    def flush(self) -> None:
        """The call is over: report all turns that are left."""
        for item_id, turn in self._turns.flush():
            self._report(item_id, turn)

    def _report(self, item_id: str, turn: TurnEnded) -> None:
        self._emit(Report(turn))
        measured = self.latency.measured(item_id)
        if measured is not None:
            self._emit(Report(replace(measured, turn_seq=turn.seq)))
        over = [each for each in self._overlaps if each.item_id == item_id]
        for overlap in over:
            self._overlaps.remove(overlap)
            self._emit(Report(replace(overlap, turn_seq=turn.seq)))
