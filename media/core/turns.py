"""Transcript deltas become turns, in the order of speech.

A caller's text may arrive after the answer to it, or never: a turn waits for it up to a deadline, and the turns after
it wait too, so that `seq` is final when a turn is reported.
"""

from bisect import insort
from dataclasses import dataclass, field

from media.core.types import Role, TurnEnded

_NEVER = float("inf")


@dataclass(slots=True)
class Transcript:
    """An item's text, each piece anchored to the amount of audio that had come before it."""

    text: str = ""
    _anchors: list[tuple[int, int]] = field(default_factory=list)  # (bytes of audio, characters of text), both before

    def add(self, delta: str, generated: int) -> None:
        if not self._anchors or self._anchors[-1][0] != generated:
            self._anchors.append((generated, len(self.text)))
        self.text += delta

    def final(self, text: str) -> None:
        """The whole text, in case a delta was missed."""
        self.text = text or self.text

    def heard(self, heard: int, generated: int) -> str:
        """The text up to the word boundary at or before `heard` of `generated` bytes; accurate to about a word."""
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
    """`text` up to the last word boundary at or before `position`."""
    if position >= len(text) or text[position : position + 1].isspace():
        return text[:position].rstrip()
    cut = max(text.rfind(space, 0, position) for space in " \n\t")
    return text[: max(0, cut)].rstrip()


@dataclass(slots=True, order=True)
class _Turn:
    start_ms: int
    role: Role = field(compare=False)
    id: str = field(compare=False)
    end_ms: int = field(compare=False, default=0)
    text: str = field(compare=False, default="")
    heard_text: str = field(compare=False, default="")
    interrupted: bool = field(compare=False, default=False)
    done: bool = field(compare=False, default=False)
    deadline_ms: float = field(compare=False, default=_NEVER)  # on the local clock


@dataclass(slots=True)
class Turns:
    deadline_ms: int = 4_000
    spoken: list[tuple[Role, str]] = field(default_factory=list)
    _waiting: list[_Turn] = field(default_factory=list)
    _seq: int = 0

    def caller_began(self, id: str, start_ms: int, now_ms: float) -> None:
        if self._find(id) is not None:
            return
        for turn in self._waiting:
            if turn.role == "caller" and turn.deadline_ms == _NEVER:
                turn.end_ms, turn.deadline_ms = max(turn.start_ms, start_ms), now_ms + self.deadline_ms
        insort(self._waiting, _Turn(start_ms, "caller", id, end_ms=start_ms))

    def caller_ended(self, id: str, end_ms: int, now_ms: float) -> None:
        if (turn := self._find(id)) is not None:
            turn.end_ms, turn.deadline_ms = max(turn.end_ms, end_ms), now_ms + self.deadline_ms

    def caller_text(self, id: str, text: str) -> None:
        """The transcript, final; empty if there is none."""
        if (turn := self._find(id)) is not None:
            turn.text = turn.heard_text = text.strip()
            turn.done = True

    def agent_began(self, id: str, start_ms: int) -> None:
        insort(self._waiting, _Turn(start_ms, "agent", id))

    def agent_ended(self, id: str, text: str, heard_text: str, end_ms: int, interrupted: bool) -> None:
        if (turn := self._find(id)) is not None:
            turn.text, turn.heard_text = text.strip(), heard_text.strip()
            turn.end_ms, turn.interrupted, turn.done = max(turn.start_ms, end_ms), interrupted, True

    def ready(self, now_ms: float) -> list[tuple[str, TurnEnded]]:
        """Turns that are final, with their item ids, in the order of speech."""
        ended: list[tuple[str, TurnEnded]] = []
        while self._waiting and (self._waiting[0].done or now_ms >= self._waiting[0].deadline_ms):
            ended.append(self._report(self._waiting.pop(0)))
        return ended

    def waits(self, id: str) -> bool:
        """Whether this turn has begun and is not reported yet."""
        return self._find(id) is not None

    def so_far(self) -> list[tuple[Role, str]]:
        """What a new session must know: all that was said, including turns that are not reported yet."""
        return [*self.spoken, *[(turn.role, turn.heard_text) for turn in self._waiting if turn.heard_text]]

    def flush(self) -> list[tuple[str, TurnEnded]]:
        """All turns that are left, at the end of the call."""
        ended = [self._report(turn) for turn in self._waiting]
        self._waiting.clear()
        return ended

    def _report(self, turn: _Turn) -> tuple[str, TurnEnded]:
        self._seq += 1
        if turn.heard_text:
            self.spoken.append((turn.role, turn.heard_text))
        return turn.id, TurnEnded(
            self._seq, turn.role, turn.text, turn.heard_text, turn.start_ms, turn.end_ms, turn.interrupted
        )

    def _find(self, id: str) -> _Turn | None:
        for turn in self._waiting:
            if turn.id == id:
                return turn
        return None
