"""The transcript of a call: turns in the order of speech, each followed by its latency and its interruptions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from media.core.latency import Latency
from media.core.turns import Turns
from media.core.types import Author, BargedIn, CallPlan, Emit, Report, TurnEnded, UnderWay

_NEVER: Final = float("inf")


class CallTranscript:
    """The transcript of one call, as it is reported."""

    __slots__ = ("_emit", "_overlaps", "_turns", "_under_way", "_under_way_ms", "latency", "under_way_due_ms")

    def __init__(self, plan: CallPlan, emit: Emit) -> None:
        self.latency = Latency()
        self.under_way_due_ms = 0.0
        self._emit = emit
        self._turns = Turns(plan.transcript_deadline_ms, plan.history)
        # Kept until the turns that were spoken over have their numbers.
        self._overlaps: list[BargedIn] = []
        self._under_way: tuple[TurnEnded, ...] = ()  # as last reported
        self._under_way_ms = plan.under_way_ms

    def caller_began(self, item_id: str, at_ms: int, now_ms: float) -> None:
        self._turns.caller_began(item_id, at_ms, now_ms)

    def start_ms(self, item_id: str) -> int | None:
        """Return when a turn began; None if it is unknown or reported already."""
        return self._turns.start_ms(item_id)

    def caller_ended(self, item_id: str, at_ms: int, now_ms: float) -> None:
        self._turns.caller_ended(item_id, at_ms, now_ms)

    def caller_words(self, item_id: str, delta: str) -> None:
        self._turns.caller_words(item_id, delta)

    def caller_text(self, item_id: str, text: str) -> None:
        self._turns.caller_text(item_id, text)

    def agent_began(self, item_id: str, at_ms: int) -> None:
        self._turns.agent_began(item_id, at_ms)

    def agent_ended(self, item_id: str, words: tuple[str, str], at_ms: int, *, interrupted: bool) -> None:
        """End a turn of the agent's.  `words`: the whole text, and the part that was heard."""
        self._turns.agent_ended(item_id, *words, at_ms, interrupted)

    def remove_unsaid(self, item_id: str) -> None:
        """Remove the agent's turn, which counts as unsaid."""
        self._turns.remove(item_id)
        self.latency.measured(item_id)
        self._overlaps = [overlap for overlap in self._overlaps if overlap.item_id != item_id]

    def barged_in(self, overlap: BargedIn) -> None:
        """Report an overlap after its turn; at once if the caller heard nothing of that turn."""
        if self._turns.is_pending(overlap.item_id):
            self._overlaps.append(overlap)
        else:
            self._emit(Report(overlap))

    def note(self, id: str, author: Literal["caller", "system"], text: str, at_ms: int) -> None:
        """Add a note: what was not said but the agent knows, a person's hint or keypad input."""
        self._turns.note(id, author, text, at_ms)

    def history(self) -> Sequence[tuple[Author, str]]:
        """Return what was said so far, including turns that are not reported yet, and the notes, each in its place."""
        return self._turns.history()

    def session_lost(self) -> None:
        """Keep the caller's turns without a transcript for the next session to detect again."""
        self._turns.orphan()

    def session_opened(self, now_ms: float) -> None:
        self._turns.adopt(now_ms)

    def report(self, now_ms: float, before_ms: float = _NEVER) -> None:
        """Report the turns that are final and began no later than `before_ms` on the call's clock."""
        for item_id, turn in self._turns.ready(now_ms, before_ms):
            self._report(item_id, turn)

    def report_under_way(self, heard: Mapping[str, tuple[str, str, int]], now_ms: float) -> None:
        """Report the turns that are not final, if they changed.

        `heard` maps an item to its text, the part that was heard, and when that ended.
        """
        self.under_way_due_ms = now_ms + self._under_way_ms
        turns = self._turns.under_way(heard)
        if turns != self._under_way:
            self._under_way = turns
            self._emit(Report(UnderWay(turns)))

    def flush(self) -> None:
        """Report all turns that are left: the call is over."""
        for item_id, turn in self._turns.flush():
            self._report(item_id, turn)

    def _report(self, item_id: str, turn: TurnEnded) -> None:
        self._emit(Report(turn))
        measured = self.latency.measured(item_id)
        if measured is not None:
            self._emit(Report(replace(measured, turn_seq=turn.seq)))
        overlaps = [overlap for overlap in self._overlaps if overlap.item_id == item_id]
        for overlap in overlaps:
            self._overlaps.remove(overlap)
            self._emit(Report(replace(overlap, turn_seq=turn.seq)))
