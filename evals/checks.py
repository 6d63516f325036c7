"""Whether a call was as its scenario expects.  Pure: it reads the call's record and what the carrier really played.

`said` reads what the caller heard, never what was generated: a price that was cut off was not said.  `understood` reads the caller's
turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from typing import Any

from evals.matching import found
from evals.sameness import same
from evals.scenario import Expectation, holds
from evals.world import look_up

#: The kind of a failure, for counts; every other expectation's is `ended`.
KINDS = {
    **dict.fromkeys(("tool", "no_tool", "order", "state", "outcome", "transferred_to"), "tool"),
    "understood": "understanding",
    **dict.fromkeys(("answer", "said", "never_said"), "speech"),
    **dict.fromkeys(("first_answer_p50_ms", "first_answer_p95_ms"), "latency"),
    **dict.fromkeys(("interruptions_cut", "ledger_error_ms"), "interruption"),
}
#: The carrier's and the media process's ideas of a turn's beginning differ by the way between them.
TURN_SLACK_MS = 200
#: Pieces that are nearer were played as one.
GAP_MS = 1


@dataclass(frozen=True, slots=True)
class CarrierAudio:
    """What the carrier played in one stream, on its clock: (start in ms, length in ms), and when it was told to clear."""

    segments: Sequence[tuple[float, float]]
    clears: Sequence[float]


@dataclass(frozen=True, slots=True)
class CallEvidence:
    """What a call left: its record, what the carrier played, and the state of the tools' world."""

    record: Mapping[str, Any]
    streams: Sequence[CarrierAudio] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    kind: str
    sentence: str


def judge(expectations: Sequence[Expectation], evidence: CallEvidence, late_ms: int = 0) -> list[Failure]:
    """Return what is not as expected; answers may come later by `late_ms`, which the machine was late."""
    failures = []
    for expectation in expectations:
        kind = KINDS.get(expectation.name, "ended")
        wanted = expectation.wanted + late_ms if kind == "latency" else expectation.wanted
        if sentence := _check(expectation.name, wanted, evidence):
            failures.append(Failure(kind, sentence))
    return failures


def heard(record: Mapping[str, Any]) -> str:
    """Return what the caller heard of the agent."""
    return " ".join(_heard(turn) for turn in record["transcript"] if turn["role"] == "agent")


def _heard(turn: Mapping[str, Any]) -> str:
    text: str | None = turn.get("heard_text")
    return text if text is not None else ("" if turn.get("interrupted") else turn["text"])


def understood(record: Mapping[str, Any]) -> str:
    return " ".join(turn["text"] for turn in record["transcript"] if turn["role"] == "caller")


def first_answers_ms(record: Mapping[str, Any]) -> list[int]:
    return [turn["first_answer_ms"] for turn in (record.get("latency") or {}).get("turns", [])]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the value below which so many lie, the next one up; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


def ledger_error_ms(record: Mapping[str, Any], streams: Sequence[CarrierAudio]) -> float:
    """Return by how much the record's heard times differ from the carrier's, the worst over all interruptions.

    All pieces since the turn began count: a turn that was cleared and resumed was played in several.
    """
    worst = 0.0
    for interruption in record["interruptions"]:
        began = interruption.get("turn_start_ms")
        candidates = [
            (abs(clear - interruption["at_ms"]), clear, stream) for stream in streams for clear in stream.clears
        ]
        if began is None or not candidates:
            continue
        _, clear, stream = min(candidates, key=lambda candidate: candidate[:2])
        played = _played_ms(stream, began, clear, clear - interruption["at_ms"])
        worst = max(worst, abs(played - interruption["heard_ms"]))
    return worst


def _played_ms(stream: CarrierAudio, began_ms: float, clear_ms: float, offset_ms: float) -> float:
    """Return how much was played between a turn's beginning and a clear; the carrier's clock is `offset_ms` ahead.

    A turn that follows another without a gap, such as an answer after a filler, begins within what is played in one piece.
    """
    spurts: list[tuple[float, float]] = []
    for start, length in stream.segments:
        if start >= clear_ms:
            continue
        if spurts and start - spurts[-1][1] <= GAP_MS:
            spurts[-1] = (spurts[-1][0], start + length)
        else:
            spurts.append((start, start + length))
    return sum(
        end - start if start >= began_ms - TURN_SLACK_MS else max(0.0, end - began_ms - offset_ms)
        for start, end in spurts
    )


def _check(name: str, wanted: Any, evidence: CallEvidence) -> str:
    """Return what is wrong as a sentence, or ""."""
    record = evidence.record
    tools: Sequence[Mapping[str, Any]] = record["tool_activity"]
    match name:
        case "tool":
            return _check_tool(wanted, tools)
        case "no_tool":
            return f"{wanted} was called" if any(tool["name"] == wanted for tool in tools) else ""
        case "order":
            names = iter([tool["name"] for tool in tools])
            return (
                ""
                if all(part in names for part in wanted)
                else f"the tools were not called in the order {', '.join(wanted)}"
            )
        case "state":
            return "; ".join(_state_sentences(wanted, evidence.state))
        case "outcome":
            return _equal("the outcome", record.get("outcome_label"), wanted)
        case "end_reason":
            return _equal("the end", record.get("end_reason"), wanted)
        case "transferred_to":
            labels = [transfer.get("label") or transfer["to"] for transfer in record.get("transfers", [])]
            return "" if wanted in labels else f"the call was transferred to {labels or 'nobody'}, not to {wanted!r}"
        case "understood":
            words = understood(record)
            return "" if found(wanted, words) else f"{wanted!r} was not understood; HUM understood {words!r}"
        case "answer":
            return _answer_sentence(wanted.to, wanted.says, record["transcript"])
        case "said":
            return "" if found(wanted, heard(record)) else f"the caller never heard {wanted!r}"
        case "never_said":
            return f"the caller heard {wanted!r}" if found(wanted, heard(record)) else ""
        case _:
            return _check_figure(name, wanted, record, evidence.streams)


def _check_figure(name: str, wanted: int, record: Mapping[str, Any], streams: Sequence[CarrierAudio]) -> str:
    match name:
        case "first_answer_p50_ms" | "first_answer_p95_ms":
            answers = first_answers_ms(record)
            value: float = percentile(answers, 0.5 if "p50" in name else 0.95)
            if not answers:
                return "no answer has a latency: the agent answered nothing"
        case "interruptions_cut":
            count = sum(interruption["verdict"] == "cut" for interruption in record["interruptions"])
            return "" if count >= wanted else f"{count} interruptions took the floor, not {wanted}"
        case "ledger_error_ms":
            value = ledger_error_ms(record, streams)
        case "turns_at_most":
            value = len(record["transcript"])
        case "seconds_at_most":
            value = record.get("duration_seconds") or 0
        case _:
            raise ValueError(f"unknown expectation {name!r}")
    return "" if value <= wanted else f"{name.removesuffix('_at_most')} is {value:g}, over {wanted}"


def _answer_sentence(to: str, says: str, transcript: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with the agent's words after a turn of the caller and before the next one, or ""."""
    turns = iter(transcript)
    if not any(turn["role"] == "caller" and found(to, turn["text"]) for turn in turns):
        return f"{to!r} was not understood"
    # A caller's sentences may be several turns.
    following = dropwhile(lambda turn: turn["role"] == "caller", turns)
    words = " ".join(_heard(turn) for turn in takewhile(lambda turn: turn["role"] == "agent", following))
    return "" if found(says, words) else f"to {to!r} the caller heard {words!r}, not {says!r}"


def _state_sentences(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[str]:
    for path, value in wanted.items():
        if not holds(state, path, value):
            try:
                yield f"{path} is {str(look_up(state, path))[:300]}, not {value}"
            except LookupError:
                yield f"the state has no {path}, which should be {value}"


def _check_tool(wanted: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    calls = [tool for tool in tools if tool["name"] == wanted.name]
    fitting = [tool for tool in calls if same(wanted.args, tool.get("arguments") or {})]
    if not fitting:
        arguments = "; ".join(str(tool.get("arguments")) for tool in calls)
        return (
            f"{wanted.name} was not called"
            if not calls
            else f"{wanted.name} was called with {arguments}, not with {wanted.args}"
        )
    if wanted.times is not None and len(fitting) != wanted.times:
        return f"{wanted.name} was called {len(fitting)} times, not {wanted.times}"
    return ""


def _equal(what: str, actual: Any, wanted: str) -> str:
    return "" if actual == wanted else f"{what} is {actual!r}, not {wanted!r}"
