"""Turns, made of transcript deltas, in the order of speech.

A caller's text may arrive after the response to it, or never: a turn waits for it up to a deadline, and the turns
after it wait too, so that `seq` is final when a turn is reported.  A person's hint to the agent, and the caller's
keypad input, have their place among the turns without being turns.
"""

from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from media.core.types import Author, Role, TurnEnded

_NEVER: Final = float("inf")
#: Most of a long call that a new session is sent: turns, and characters of each.
HISTORY_TURNS, HISTORY_CHARS = 100, 2_000
#: Characters of a note, which may hold a tool's result.
HISTORY_NOTE_CHARS: Final = 40_000
#: A turn that is detected again may seem to begin this much later than the first time.
REDETECTED_MS: Final = 1_500


@dataclass(slots=True)
class Transcript:
    """An item's text, each piece anchored to the amount of audio that had come before it."""

    text: str = ""
    # Bytes of audio and characters of text, both before a piece.
    _anchors: list[tuple[int, int]] = field(default_factory=list)

    def add(self, delta: str, generated: int) -> None:
        if not self._anchors or self._anchors[-1][0] != generated:
            self._anchors.append((generated, len(self.text)))
        self.text += delta

    def final(self, text: str) -> None:
        """Replace the text by the whole text, in case a delta was missed."""
        self.text = text or self.text

    def heard(self, heard: int, generated: int) -> str:
        """Return the text up to the word boundary at or before `heard` of `generated` bytes; accurate to about a word."""
        if heard >= generated:
            return self.text
        start, done, end, upto = 0, 0, generated, len(self.text)
        for audio, characters in self._anchors:
            if audio <= heard:
                start, done = audio, characters
            else:
                end, upto = audio, characters
                break
        position = done + (upto - done) * (heard - start) // max(1, end - start)
        return up_to_word(self.text, position)


def up_to_word(text: str, position: int) -> str:
    """Return `text` up to the last word boundary at or before `position`."""
    if position >= len(text) or text[position : position + 1].isspace():
        return text[:position].rstrip()
    cut = max(text.rfind(space, 0, position) for space in " \n\t")
    return text[: max(0, cut)].rstrip()


@dataclass(slots=True, order=True)
class _Turn:
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


class Turns:
    """The turns of one call; `history` is what was said in its earlier streams."""

    __slots__ = ("_deadline_ms", "_reported_ms", "_seq", "_spoken", "_waiting")

    def __init__(self, deadline_ms: int = 4_000, history: Sequence[tuple[Author, str]] = ()) -> None:
        self._deadline_ms = deadline_ms
        self._spoken: deque[tuple[Author, str]] = deque(history, maxlen=HISTORY_TURNS)
        self._waiting: list[_Turn] = []
        self._seq = 0
        self._reported_ms = 0  # where the last reported turn began

    def caller_began(self, id: str, start_ms: int, now_ms: float) -> None:
        if self._find(id) is not None:
            return
        redetected_ms = start_ms - REDETECTED_MS
        self._waiting = [turn for turn in self._waiting if not turn.orphaned or turn.start_ms < redetected_ms]
        for turn in self._waiting:
            if turn.role == "caller" and turn.deadline_ms == _NEVER:
                turn.end_ms, turn.deadline_ms = max(turn.start_ms, start_ms), now_ms + self._deadline_ms
        insort(self._waiting, _Turn(start_ms, "caller", id, end_ms=start_ms))

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

    def agent_began(self, id: str, start_ms: int) -> None:
        insort(self._waiting, _Turn(start_ms, "agent", id))

    def agent_ended(self, id: str, text: str, heard_text: str, end_ms: int, interrupted: bool) -> None:
        if (turn := self._find(id)) is not None:
            turn.text, turn.heard_text = text.strip(), heard_text.strip()
            turn.end_ms, turn.interrupted, turn.done = max(turn.start_ms, end_ms), interrupted, True

    def note(self, id: str, author: Literal["caller", "system"], text: str, at_ms: int) -> None:
        """Add a note: what was not said but the agent knows, a person's hint or keypad input."""
        insort(self._waiting, _Turn(at_ms, "keys" if author == "caller" else "system", id, text=text, done=True))

    def remove(self, id: str) -> None:
        """Remove a turn that counts as unsaid, before it is reported."""
        self._waiting = [turn for turn in self._waiting if turn.id != id]

    def orphan(self) -> None:
        """Keep the caller's turns without a transcript for the next session to detect again: their session is gone."""
        for turn in self._waiting:
            if turn.role == "caller" and not turn.done:
                turn.orphaned, turn.deadline_ms = True, _NEVER

    def adopt(self, now_ms: float) -> None:
        """Start the new session's time limit to detect orphaned turns; then they are reported without a transcript."""
        for turn in self._waiting:
            if turn.orphaned:
                turn.deadline_ms = now_ms + self._deadline_ms

    def ready(self, now_ms: float, before_ms: float = _NEVER) -> list[tuple[str, TurnEnded]]:
        """Return the final turns that began no later than `before_ms`, with their item ids, in the order of speech."""
        ended: list[tuple[str, TurnEnded]] = []
        while self._waiting and (self._waiting[0].done or now_ms >= self._waiting[0].deadline_ms):
            if self._waiting[0].start_ms > before_ms:
                break
            self._report(self._waiting.pop(0), ended)
        return ended

    def is_pending(self, id: str) -> bool:
        """Return whether this turn has begun and is not reported yet."""
        return self._find(id) is not None

    def start_ms(self, id: str) -> int | None:
        """Return when a turn began, as its report will say; None if it is unknown or reported already."""
        turn = self._find(id)
        return None if turn is None else max(turn.start_ms, self._reported_ms)

    def under_way(self, heard: Mapping[str, tuple[str, str, int]]) -> tuple[TurnEnded, ...]:
        """Return the turns that are not final, as they stand.

        `heard` maps an item to its text, the part that was heard, and when that ended.
        """
        turns: list[TurnEnded] = []
        seq = self._seq
        for turn in self._waiting:
            if (speaker := turn.speaker) is None:
                continue
            seq += 1
            text, heard_text, end_ms = heard.get(turn.id, (turn.text, turn.heard, turn.end_ms))
            if text:
                broken = turn.interrupted or (turn.role == "agent" and not turn.done)
                turns.append(TurnEnded(seq, speaker, text, heard_text, turn.start_ms, end_ms, broken, turn.id))
        return tuple(turns)

    def history(self) -> list[tuple[Author, str]]:
        """Return what a new session must know: what was said, including turns that are not reported yet, and the notes."""
        waiting = [(turn.author, turn.heard) for turn in self._waiting if turn.done and turn.heard]
        return [
            (author, text[:HISTORY_NOTE_CHARS] if author == "system" else text[-HISTORY_CHARS:])  # the latest of it
            for author, text in (*self._spoken, *waiting)
        ]

    def flush(self) -> list[tuple[str, TurnEnded]]:
        """Return all turns that are left, at the end of the call."""
        ended: list[tuple[str, TurnEnded]] = []
        for turn in self._waiting:
            self._report(turn, ended)
        self._waiting.clear()
        return ended

    def _report(self, turn: _Turn, ended: list[tuple[str, TurnEnded]]) -> None:
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
        final = TurnEnded(self._seq, role, turn.text, turn.heard, start_ms, end_ms, turn.interrupted, turn.id)
        ended.append((turn.id, final))

    def _find(self, id: str) -> _Turn | None:
        for turn in self._waiting:
            if turn.id == id:
                return turn
        return None
