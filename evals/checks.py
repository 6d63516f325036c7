"""Whether a call was as its scenario expects.  Pure: it reads the call's record and what the carrier really played.

`said` reads what the caller heard, never what was generated: a price that was cut off was not said.  `understood` reads the caller's
turns.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.scenario import Expectation

#: The kind of a failure, for counts; every other expectation's is `ended`.
KINDS = {
    **dict.fromkeys(("tool", "no_tool", "order", "outcome", "transferred_to"), "tool"),
    "understood": "understanding",
    **dict.fromkeys(("said", "never_said"), "speech"),
    **dict.fromkeys(("first_answer_p50_ms", "first_answer_p95_ms"), "latency"),
    **dict.fromkeys(("interruptions_cut", "ledger_error_ms"), "interruption"),
}
#: The carrier's and the media process's ideas of a turn's beginning differ by the way between them.
TURN_SLACK_MS = 200
#: Pieces that are nearer were played as one.
GAP_MS = 1
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(a\.?m\.?|p\.?m\.?|o'?clock)?")
_HALF = re.compile(r"\bhalf past (\d{1,2})\b")


@dataclass(frozen=True, slots=True)
class CarrierAudio:
    """What the carrier played in one stream, on its clock: (start in ms, length in ms), and when it was told to clear."""

    segments: Sequence[tuple[float, float]]
    clears: Sequence[float]


@dataclass(frozen=True, slots=True)
class Failure:
    kind: str
    sentence: str


def judge(
    expectations: Sequence[Expectation], record: Mapping[str, Any], streams: Sequence[CarrierAudio], late_ms: int = 0
) -> list[Failure]:
    """Return what is not as expected; answers may come later by `late_ms`, which the machine was late."""
    failures = []
    for expectation in expectations:
        kind = KINDS.get(expectation.name, "ended")
        wanted = expectation.wanted + late_ms if kind == "latency" else expectation.wanted
        if sentence := _check(expectation.name, wanted, record, streams):
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


def same(wanted: Any, actual: Any) -> bool:
    """Tell whether an argument is the wanted value: texts by their words, a time as a time, a number as a number."""
    if isinstance(wanted, Mapping) and set(wanted) == {"matches"}:
        return isinstance(actual, str | int | float) and _found(str(wanted["matches"]), str(actual))
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return all(name in actual and same(value, actual[name]) for name, value in wanted.items())
    if isinstance(wanted, bool) or isinstance(actual, bool) or wanted is None or actual is None:
        return wanted is actual
    if isinstance(wanted, list) and isinstance(actual, list):
        return len(wanted) == len(actual) and all(map(same, wanted, actual))
    if isinstance(wanted, Mapping | list) or isinstance(actual, Mapping | list):
        return False
    return spoken(str(wanted)) == spoken(str(actual))


def spoken(text: str) -> str:
    """Return the words in one form: `Nine thirty a.m.` as `9:30`, `$ 80.00` as `80`, `(317) 555-0199` as its digits."""
    plain = " ".join(
        NUMBERS.get(word, word) for word in re.findall(r"[\w:.+'’]+", text.lower().replace("thirty", ":30"))
    )
    plain = _HALF.sub(r"\1:30", plain.replace(" :30", ":30")).strip(".")
    if (time := _TIME.fullmatch(plain)) and (time[2] or time[3]):
        hour = int(time[1]) % 12 + 12 if (time[3] or "").startswith("p") else int(time[1])
        return f"{hour}:{time[2] or '00'}"
    plain = re.sub(r"(\d)\.0+\b|\.(?=\s|$)", r"\1", plain)
    digits = re.sub(r"\D", "", plain)
    return digits[-10:] if len(digits) >= 10 and not re.search(r"[a-z:]", plain) else plain


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.DOTALL) is not None


def _check(name: str, wanted: Any, record: Mapping[str, Any], streams: Sequence[CarrierAudio]) -> str:
    """Return what is wrong as a sentence, or ""."""
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
        case "outcome":
            return _equal("the outcome", record.get("outcome_label"), wanted)
        case "end_reason":
            return _equal("the end", record.get("end_reason"), wanted)
        case "transferred_to":
            labels = [transfer.get("label") or transfer["to"] for transfer in record.get("transfers", [])]
            return "" if wanted in labels else f"the call was transferred to {labels or 'nobody'}, not to {wanted!r}"
        case "understood":
            words = understood(record)
            return "" if _found(wanted, words) else f"{wanted!r} was not understood; HUM understood {words!r}"
        case "said":
            return "" if _found(wanted, heard(record)) else f"the caller never heard {wanted!r}"
        case "never_said":
            return f"the caller heard {wanted!r}" if _found(wanted, heard(record)) else ""
        case _:
            return _check_figure(name, wanted, record, streams)


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
