"""What callers noticed, by what happened at the time.  Pure.

Times are seconds on the machine's monotonic clock, which all namespaces share.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: A silence so long is trouble: a caller who waits for an answer hears one within two seconds, or a filler.
TROUBLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Something that was done, and until when its consequences are counted."""

    name: str
    begun: float
    ended: float

    def has(self, at: float) -> bool:
        return self.begun <= at < self.ended


@dataclass(frozen=True, slots=True)
class Line:
    """A call.  `silences`: those that were long, as (begin, end); `resumed`: when further streams of it began."""

    begun: float
    ended: float
    #: Whether it ended before the caller hung up; it never had a stream if `refused`.
    closed: bool
    refused: bool
    silences: Sequence[tuple[float, float]] = ()
    resumed: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """`left`: when it left for the first time (of one that came in: when it was told); None: never.  `times`: how often."""

    at: float
    left: float | None
    times: int
    #: Whether the API took it.  One that comes in is ours from the start.
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to the API.  `fault`: empty, or its kind."""

    at: float
    ended: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the outside saw."""

    calls: Sequence[Line] = ()
    texts_out: Sequence[Text] = ()
    texts_in: Sequence[Text] = ()
    requests: Sequence[Asked] = ()
    #: For how long the outside itself could not run.
    stalled_seconds: float = 0.0

    @classmethod
    def of(cls, printed: Mapping[str, Any]) -> "Facts":
        return cls(
            [Line(**each) for each in printed["calls"]],
            [Text(**each) for each in printed["texts_out"]],
            [Text(**each) for each in printed["texts_in"]],
            [Asked(**each) for each in printed["requests"]],
            printed["stalled_seconds"],
        )


@dataclass(slots=True)
class Row:
    """What was noticed of one phase."""

    phase: Phase
    calls: int = 0
    refused: int = 0
    closed: int = 0
    resumed: int = 0
    silence_p50: float = 0.0
    longest_silence: float = 0.0
    texts: int = 0
    #: Texts that the API took and that never left, and those that left twice; those that came in and were never or twice stored.
    lost: int = 0
    doubled: int = 0
    #: Texts that nobody took, although whoever sent them tried for long.
    not_taken: int = 0
    slowest_text: float = 0.0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    #: Seconds until nothing was noticed any more; 0: nothing ever was.
    recovered: float = 0.0


def rows(facts: Facts, phases: Sequence[Phase]) -> list[Row]:
    """What went wrong belongs to the phase in which it did, everything else to that in which it began."""
    return [_row(facts, phase) for phase in phases]


def _row(facts: Facts, phase: Phase) -> Row:
    row, troubles = Row(phase), list[float]()
    row.calls = sum(phase.has(each.begun) for each in facts.calls)
    silences = list[float]()
    for call in facts.calls:
        if phase.has(call.ended) and (call.refused or call.closed):
            row.refused += call.refused
            row.closed += not call.refused
            troubles.append(call.ended)
        row.resumed += sum(phase.has(each) for each in call.resumed)
        own = [end - begin for begin, end in call.silences if phase.has(begin)]
        troubles += [end for begin, end in call.silences if phase.has(begin) and end - begin > TROUBLE_SECONDS]
        silences += [max(own)] if own else []
    row.silence_p50, row.longest_silence = (median(silences), max(silences)) if silences else (0.0, 0.0)
    for text in (each for each in (*facts.texts_out, *facts.texts_in) if phase.has(each.at)):
        row.texts += 1
        row.lost += text.accepted and text.times == 0
        row.doubled += text.times > 1
        row.not_taken += not text.accepted and text.times == 0
        if text.left is not None:
            row.slowest_text = max(row.slowest_text, text.left - text.at)
    for request in facts.requests:
        row.requests += phase.has(request.at)
        if request.fault and phase.has(request.ended):
            row.faults[request.fault] += 1
            troubles.append(request.ended)
    row.recovered = max(troubles, default=phase.begun) - phase.begun
    return row


HEAD = (
    "what happened", "calls begun", "refused", "closed", "resumed", "silence p50 / longest", "texts", "lost", "twice", "not taken",
    "slowest text", "requests", "failed", "noticed for",
)  # fmt: skip


def table(found: Sequence[Row]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    for row in found:
        faults = ", ".join(f"{count} × {kind}" for kind, count in sorted(row.faults.items())) or "0"
        cells = (
            row.phase.name, row.calls, row.refused, row.closed, row.resumed, f"{row.silence_p50:.1f} / {row.longest_silence:.1f} s",
            row.texts, row.lost, row.doubled, row.not_taken, f"{row.slowest_text:.1f} s", row.requests, faults, f"{row.recovered:.1f} s",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
