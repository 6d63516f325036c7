"""The effects on callers, by the phase in which they happened.  Pure.

Times are seconds on the machine's monotonic clock, which all namespaces share.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: A longer silence is trouble: a caller hears an answer or a filler within two seconds.
TROUBLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An action, and the time in which its effects are counted."""

    name: str
    begun: float
    ended: float

    def has(self, at: float) -> bool:
        return self.begun <= at < self.ended


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A call.  `silences`: the long ones, as (begin, end); `resumed`: the beginnings of its further streams."""

    begun: float
    ended: float
    #: Whether the call ended before the caller hung up; a `refused` call never had a stream.
    closed: bool
    refused: bool
    silences: Sequence[tuple[float, float]] = ()
    resumed: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """`left`: when it was first sent, or, if inbound, stored; None: never.  `times`: how often."""

    at: float
    left: float | None
    times: int
    #: Whether the API accepted it; always true of an inbound text.
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the API.  `fault`: empty, or its kind."""

    at: float
    ended: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The observations of the outside."""

    calls: Sequence[JudgedCall] = ()
    texts_out: Sequence[Text] = ()
    texts_in: Sequence[Text] = ()
    requests: Sequence[ApiRequest] = ()
    #: How long the outside itself could not run.
    stalled_seconds: float = 0.0

    @classmethod
    def of(cls, printed: Mapping[str, Any]) -> "Facts":
        return cls(
            [JudgedCall(**fields) for fields in printed["calls"]],
            [Text(**fields) for fields in printed["texts_out"]],
            [Text(**fields) for fields in printed["texts_in"]],
            [ApiRequest(**fields) for fields in printed["requests"]],
            printed["stalled_seconds"],
        )


@dataclass(slots=True)
class Row:
    """The effects in one phase."""

    phase: Disturbance
    calls: int = 0
    refused: int = 0
    closed: int = 0
    resumed: int = 0
    silence_p50: float = 0.0
    longest_silence: float = 0.0
    texts: int = 0
    #: Accepted texts that were never sent, and texts sent twice; inbound texts that were never or twice stored.
    lost: int = 0
    doubled: int = 0
    #: Texts that the API did not accept within PATIENCE_SECONDS.
    not_taken: int = 0
    slowest_text: float = 0.0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    #: Seconds until the last effect; 0 without any.
    recovered: float = 0.0


def rows(facts: Facts, phases: Sequence[Disturbance]) -> list[Row]:
    """Count each failure in the phase in which it happened, everything else in the phase in which it began."""
    return [_row(facts, phase) for phase in phases]


def _row(facts: Facts, phase: Disturbance) -> Row:
    row, troubles = Row(phase), list[float]()
    row.calls = sum(phase.has(line.begun) for line in facts.calls)
    silences = list[float]()
    for call in facts.calls:
        if phase.has(call.ended) and (call.refused or call.closed):
            row.refused += call.refused
            row.closed += not call.refused
            troubles.append(call.ended)
        row.resumed += sum(phase.has(at) for at in call.resumed)
        own = [end - begin for begin, end in call.silences if phase.has(begin)]
        troubles += [end for begin, end in call.silences if phase.has(begin) and end - begin > TROUBLE_SECONDS]
        silences += [max(own)] if own else []
    row.silence_p50, row.longest_silence = (median(silences), max(silences)) if silences else (0.0, 0.0)
    for text in (candidate for candidate in (*facts.texts_out, *facts.texts_in) if phase.has(candidate.at)):
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


def table(phase_rows: Sequence[Row]) -> str:
    """Format the rows as a Markdown table."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    for row in phase_rows:
        faults = ", ".join(f"{count} × {kind}" for kind, count in sorted(row.faults.items())) or "0"
        cells = (
            row.phase.name, row.calls, row.refused, row.closed, row.resumed, f"{row.silence_p50:.1f} / {row.longest_silence:.1f} s",
            row.texts, row.lost, row.doubled, row.not_taken, f"{row.slowest_text:.1f} s", row.requests, faults, f"{row.recovered:.1f} s",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
