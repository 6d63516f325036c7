"""The transcript of a call: its turns in the order of speech, with their words, as they are reported.

A caller's text may arrive after the response to it, or never: a turn waits for it up to a deadline, and the turns
after it wait too, so that `seq` is final when a turn is reported.  A turn's latency and interruptions follow it.  A
person's hint to the agent, and the caller's keypad input, have their place among the turns without being turns.
"""

from bisect import insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from media.core.heardposition import Item
from media.core.itemtexts import ItemText
from media.core.latency import Latency
from media.core.modelmessages import Author, Role
from media.core.plans import CallPlan
from media.core.prompts import heard_text
from media.core.types import BargedIn, Emit, Report, TurnEnded, UnderWay

_NEVER: Final = float("inf")
#: Most of a long call that a new session is sent: turns, and characters of each.
HISTORY_TURNS, HISTORY_CHARS = 100, 2_000
#: Characters of a note, which may hold a tool's result.
HISTORY_NOTE_CHARS: Final = 40_000
#: A turn that is detected again may seem to begin this much later than the first time.
REDETECTED_MS: Final = 1_500

#: The text of an item that has ended.  Its id stays known; a long call must not keep all texts.
_SPENT: Final = ItemText()


@dataclass(slots=True, order=True)
class _TranscriptEntry:
    """A turn or a note, from its beginning until its report."""

    start_ms: int
    role: Author | Literal["keys"] = field(compare=False)
    id: str = field(compare=False)
    end_ms: int = field(compare=False, default=0)
    text: str = field(compare=False, default="")
    heard_text: str = field(compare=False, default="")
    interrupted: bool = field(compare=False, default=False)
    done: bool = field(compare=False, default=False)
    # Its session is gone, and never transcribed it.
    orphaned: bool = field(compare=False, default=False)
    deadline_ms: float = field(compare=False, default=_NEVER)  # on the local clock

    @property
    def heard(self) -> str:
        """The words that were heard: of the caller, all of them."""
        return self.heard_text if self.role == "agent" else self.text

    @property
    def author(self) -> Author:
        """The author for the model: keypad input is the caller's."""
        return "caller" if self.role == "keys" else self.role

    @property
    def speaker(self) -> Role | None:
        """The speaker; None for a note."""
        if self.role == "agent":
            return "agent"
        return "caller" if self.role == "caller" else None


@dataclass(slots=True)
class LiveTurns:
    """The turns that are not final, as they were last reported."""

    every_ms: int
    due_ms: float = 0.0
    _turns: tuple[TurnEnded, ...] = ()

    def update(self, turns: tuple[TurnEnded, ...], now_ms: float) -> bool:
        """Return whether these are others than were reported."""
        self.due_ms = now_ms + self.every_ms
        if turns == self._turns:
            return False
        self._turns = turns
        return True


class CallTranscript:
    """The transcript of one call; the plan's `history` is what was said in its earlier streams."""

    __slots__ = (
        "_deadline_ms",
        "_emit",
        "_latency",
        "_overlaps",
        "_reported_ms",
        "_seq",
        "_spoken",
        "_texts",
        "_waiting",
        "live_turns",
    )

    def __init__(self, plan: CallPlan, latency: Latency, emit: Emit) -> None:
        self.live_turns = LiveTurns(plan.under_way_ms)
        self._latency, self._emit = latency, emit
        self._deadline_ms = plan.patience.transcript_deadline_ms
        self._spoken: deque[tuple[Author, str]] = deque(plan.history, maxlen=HISTORY_TURNS)
        self._waiting: list[_TranscriptEntry] = []
        self._seq = 0
        self._reported_ms = 0  # where the last reported turn began
        # Of the model's items, by id.
        self._texts: dict[str, ItemText] = {}
        # Kept until the turns that were spoken over have their numbers.
        self._overlaps: list[BargedIn] = []

    # The caller's turns.

    def caller_began(self, id: str, start_ms: int, now_ms: float) -> None:
        if self._find(id) is not None:
            return
        redetected_ms = start_ms - REDETECTED_MS
        self._waiting = [turn for turn in self._waiting if not turn.orphaned or turn.start_ms < redetected_ms]
        for turn in self._waiting:
            if turn.role == "caller" and turn.deadline_ms == _NEVER:
                turn.end_ms, turn.deadline_ms = max(turn.start_ms, start_ms), now_ms + self._deadline_ms
        insort(self._waiting, _TranscriptEntry(start_ms, "caller", id, end_ms=start_ms))

    def caller_ended(self, id: str, end_ms: int, now_ms: float) -> None:
        if (turn := self._find(id)) is not None:
            turn.end_ms, turn.deadline_ms = max(turn.end_ms, end_ms), now_ms + self._deadline_ms

    def caller_words(self, id: str, delta: str) -> None:
        """Add a piece of the transcript, which stands if the rest never comes."""
        if (turn := self._find(id)) is not None and not turn.done and len(turn.text) < HISTORY_CHARS:
            turn.text += delta

    def caller_text(self, id: str, text: str) -> None:
        """Set the final transcript; empty if there is none."""
        if (turn := self._find(id)) is not None:
            turn.text = text.strip()
            turn.done = True

    # The agent's turns, and the texts of the items that they are made of.

    def item_opened(self, item_id: str) -> bool:
        """Keep the text of an item of the model's; return False if the item has been opened before."""
        if item_id in self._texts:
            return False
        self._texts[item_id] = ItemText()
        return True

    def agent_words(self, item: Item, delta: str, offset: int) -> None:
        """Add a piece of the text of an item of the model's, which belongs to the audio from this byte on."""
        self._texts[item.id].add(delta, offset)

    def agent_text(self, item: Item, text: str) -> None:
        """Set the whole text of an item of the model's."""
        self._texts[item.id].final(text)

    def words(self, item: Item) -> tuple[str, str]:
        """Return an item's text so far, and the part of it that was heard.  For a prompt, its own text."""
        text = self._texts.get(item.id)
        if text is None:
            return item.text, heard_text(item.text, item.heard, item.generated)
        return text.text, text.heard(item.heard, item.generated)

    def agent_began(self, item_id: str, start_ms: int) -> None:
        insort(self._waiting, _TranscriptEntry(start_ms, "agent", item_id))

    def agent_ended(self, item: Item, end_ms: int, *, interrupted: bool) -> str:
        """End a turn of the agent's; return the words that were heard."""
        text, heard = self.words(item)
        self.drop_text(item.id)
        if (turn := self._find(item.id)) is not None:
            turn.text, turn.heard_text = text.strip(), heard.strip()
            turn.end_ms, turn.interrupted, turn.done = max(turn.start_ms, end_ms), interrupted, True
        return heard

    def drop_text(self, item_id: str) -> None:
        """Drop the text of an item that has ended."""
        if item_id in self._texts:
            self._texts[item_id] = _SPENT

    def remove_unsaid(self, item_id: str) -> None:
        """Remove the agent's turn, which counts as unsaid, before it is reported."""
        self.drop_text(item_id)
        self._waiting = [turn for turn in self._waiting if turn.id != item_id]
        self._latency.measured(item_id)
        self._overlaps = [overlap for overlap in self._overlaps if overlap.item_id != item_id]

    def barged_in(self, overlap: BargedIn) -> None:
        """Report an overlap after its turn; at once if the caller heard nothing of that turn."""
        if self._find(overlap.item_id) is not None:
            self._overlaps.append(overlap)
        else:
            self._emit(Report(overlap))

    # What a session of the model must know.

    def note(self, id: str, author: Literal["caller", "system"], text: str, at_ms: int) -> None:
        """Add a note: what was not said but the agent knows, a person's hint or keypad input."""
        insort(
            self._waiting, _TranscriptEntry(at_ms, "keys" if author == "caller" else "system", id, text=text, done=True)
        )

    def history(self) -> list[tuple[Author, str]]:
        """Return what was said so far, including turns that are not reported yet, and the notes, each in its place."""
        waiting = [(turn.author, turn.heard) for turn in self._waiting if turn.done and turn.heard]
        return [
            (author, text[:HISTORY_NOTE_CHARS] if author == "system" else text[-HISTORY_CHARS:])  # the latest of it
            for author, text in (*self._spoken, *waiting)
        ]

    def session_lost(self) -> None:
        """Keep the caller's turns without a transcript for the next session to detect again."""
        for turn in self._waiting:
            if turn.role == "caller" and not turn.done:
                turn.orphaned, turn.deadline_ms = True, _NEVER

    def session_opened(self, now_ms: float) -> None:
        """Start the new session's time limit to detect orphaned turns; then they are reported without a transcript."""
        for turn in self._waiting:
            if turn.orphaned:
                turn.deadline_ms = now_ms + self._deadline_ms

    # Reports.

    def start_ms(self, id: str) -> int | None:
        """Return when a turn began, as its report will say; None if it is unknown or reported already."""
        turn = self._find(id)
        return None if turn is None else max(turn.start_ms, self._reported_ms)

    def report(self, now_ms: float, before_ms: float = _NEVER) -> None:
        """Report the turns that are final and began no later than `before_ms` on the call's clock."""
        while self._waiting and (self._waiting[0].done or now_ms >= self._waiting[0].deadline_ms):
            if self._waiting[0].start_ms > before_ms:
                break
            self._report(self._waiting.pop(0))

    def report_under_way(self, heard: Mapping[str, tuple[str, str, int]], now_ms: float) -> None:
        """Report the turns that are not final, if they changed.

        `heard` maps an item to its text, the part that was heard, and when that ended.
        """
        turns: list[TurnEnded] = []
        seq = self._seq
        for turn in self._waiting:
            if (speaker := turn.speaker) is None:
                continue
            seq += 1
            text, words, end_ms = heard.get(turn.id, (turn.text, turn.heard, turn.end_ms))
            if text:
                broken = turn.interrupted or (turn.role == "agent" and not turn.done)
                turns.append(TurnEnded(seq, speaker, text, words, turn.start_ms, end_ms, broken, turn.id))
        if self.live_turns.update(unfinished := tuple(turns), now_ms):
            self._emit(Report(UnderWay(unfinished)))

    def flush(self) -> None:
        """Report all turns that are left: the call is over."""
        for turn in self._waiting:
            self._report(turn)
        self._waiting.clear()

    def _report(self, turn: _TranscriptEntry) -> None:
        role = turn.speaker
        if role is None:
            self._spoken.append((turn.author, turn.text))
            return
        self._seq += 1
        # A turn that is corrected or detected late never precedes those that are reported already.
        start_ms = self._reported_ms = max(turn.start_ms, self._reported_ms)
        end_ms = max(start_ms, turn.end_ms)
        if turn.heard:
            self._spoken.append((role, turn.heard))
        ended = TurnEnded(self._seq, role, turn.text, turn.heard, start_ms, end_ms, turn.interrupted, turn.id)
        self._emit(Report(ended))
        measured = self._latency.measured(turn.id)
        if measured is not None:
            self._emit(Report(replace(measured, turn_seq=ended.seq)))
        overlaps = [overlap for overlap in self._overlaps if overlap.item_id == turn.id]
        for overlap in overlaps:
            self._overlaps.remove(overlap)
            self._emit(Report(replace(overlap, turn_seq=ended.seq)))

    def _find(self, id: str) -> _TranscriptEntry | None:
        for turn in self._waiting:
            if turn.id == id:
                return turn
        return None
