"""Figures of what callers experienced, and the thresholds for them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.twilio import Call, Stream

#: A `clear` later than this after the caller has stopped is not counted as a reaction to that line.
CLEAR_WITHIN_MS = 500.0


@dataclass(slots=True)
class CallFigures:
    """Measurements over all calls of one run, in milliseconds."""

    greeting_ms: list[float] = field(default_factory=list)  # stream open -> first audio
    answer_ms: list[float] = field(default_factory=list)  # end of a line -> the agent's next audio
    clear_ms: list[float] = field(default_factory=list)  # start of an interruption -> `clear`
    gap_ms: list[float] = field(default_factory=list)
    ignored: int = 0  # interruptions without a `clear`
    calls: int = 0
    turns: int = 0
    late_ms: float = 0.0  # the load generator's own worst lateness
    errors: list[str] = field(default_factory=list)

    def add(self, call: Call) -> None:
        """Add the measurements of a call that has ended."""
        self.calls += 1
        self.late_ms = max(self.late_ms, call.worst_lateness_ms)
        self.errors += [f"{code} {message}" for code, message in call.errors]
        if not call.streams:
            self.errors.append(f"call {call.status} without a stream")
        for stream in call.streams:
            self._add_stream(stream)

    def _add_stream(self, stream: Stream) -> None:
        starts = [segment.start_ms for segment in stream.playout.segments]
        self.greeting_ms += starts[:1]
        if not starts:
            self.errors.append("the agent was never heard")
        self.gap_ms += [gap.end_ms - gap.start_ms for gap in stream.playout.gaps()]
        for span in stream.spoken.spans:
            if span.end_ms is None:
                continue
            self.turns += 1
            if stream.playout.heard_at(span.start_ms) is not None:
                self._add_interruption(stream, span.start_ms, span.end_ms)
            elif (answered := next((at for at in starts if at >= span.end_ms), None)) is not None:
                self.answer_ms.append(answered - span.end_ms)

    def _add_interruption(self, stream: Stream, start_ms: float, end_ms: float) -> None:
        clears_ms = (clear.received_at_ms for clear in stream.playout.clears)
        cleared_at_ms = next((at for at in clears_ms if start_ms <= at <= end_ms + CLEAR_WITHIN_MS), None)
        if cleared_at_ms is None:
            self.ignored += 1
        else:
            self.clear_ms.append(cleared_at_ms - start_ms)

    def summary(self) -> dict[str, Any]:
        """Return the figures by name, as `--json` prints them."""
        return {
            "calls": self.calls,
            "turns": self.turns,
            "greeting_ms": percentiles(self.greeting_ms),
            "answer_ms": percentiles(self.answer_ms),
            "clear_ms": percentiles(self.clear_ms),
            "ignored_interruptions": self.ignored,
            "gaps": len(self.gap_ms),
            "worst_gap_ms": round(max(self.gap_ms, default=0.0), 1),
            "errors": len(self.errors),
            "first_errors": self.errors[:5],
            "own_worst_lateness_ms": round(self.late_ms, 1),
        }


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds; None: no limit.  Latencies are compared at p95, `clear` at p99."""

    max_first_audio_ms: float | None = None
    max_answer_ms: float | None = None
    max_clear_ms: float | None = None
    max_gaps: float | None = None
    max_errors: float | None = 0

    def broken(self, summary: dict[str, Any]) -> list[str]:
        """Return one sentence per exceeded threshold."""
        measured = {
            "max_first_audio_ms": summary["greeting_ms"]["p95"],
            "max_answer_ms": summary["answer_ms"]["p95"],
            "max_clear_ms": summary["clear_ms"]["p99"],
            "max_gaps": summary["gaps"],
            "max_errors": summary["errors"],
        }
        return [
            f"{name.removeprefix('max_')} is {measured[name]}, and may be at most {limit}"
            for name, limit in asdict(self).items()
            if limit is not None and measured[name] is not None and measured[name] > limit
        ]


def percentiles(values: Sequence[float]) -> dict[str, Any]:
    """Return p50, p95 and p99 in ms, each None without values, and the number of values."""
    ordered = sorted(values)
    parts: dict[str, Any] = {"count": len(ordered)}
    for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        parts[name] = round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1) if ordered else None
    return parts


def table(summary: dict[str, Any]) -> str:
    """Format the figures as a table for people."""
    rows = [f"{'':34}{'count':>7}{'p50':>9}{'p95':>9}{'p99':>9}"]
    names = (
        ("greeting_ms", "stream open -> first audio, ms"),
        ("answer_ms", "caller silent -> agent heard, ms"),
        ("clear_ms", "interruption -> clear, ms"),
    )
    for key, name in names:
        parts = summary[key]
        cells = "".join(f"{'-' if parts[part] is None else parts[part]:>9}" for part in ("p50", "p95", "p99"))
        rows.append(f"{name:34}{parts['count']:>7}{cells}")
    rows += [
        f"{summary['calls']} calls, {summary['turns']} lines, {summary['ignored_interruptions']} interruptions ignored",
        f"{summary['gaps']} gaps in the agent's audio, the longest {summary['worst_gap_ms']} ms",
        f"{summary['errors']} errors{''.join(f'{chr(10)}  {error}' for error in summary['first_errors'])}",
        f"the load generator's own worst lateness: {summary['own_worst_lateness_ms']} ms",
    ]
    return "\n".join(rows)
