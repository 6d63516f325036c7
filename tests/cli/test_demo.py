"""`hum demo` says that its call's record is complete only if every part of it is there, and the figures add up."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli import demo
from cli.demo import Demo, DemoFailed, missing_parts
from hum.settings import UpSettings

RECORD: dict[str, Any] = {
    "id": "call_1",
    "status": "completed",
    "transcript": [
        {"role": "agent", "text": "This call may be recorded."},
        {"role": "agent", "text": demo.FLOW["greeting"]},
        {"role": "caller", "text": demo.LINES[0]},
        {"role": "agent", "text": "Of course."},
        {"role": "caller", "text": demo.LINES[1]},
        {"role": "agent", "text": "Wonderful."},
    ],
    "latency": {
        "turns": [
            {"turn_seq": 4, "first_answer_ms": 640, "ours_ms": 14, "model_ms": 590},
            {"turn_seq": 6, "first_answer_ms": 610, "ours_ms": 21, "model_ms": 590},  # each is rounded
        ]
    },
    "interruptions": [{"verdict": "cut", "at_ms": 9_000, "reaction_ms": 60, "heard_ms": 2_700}],
    "summary": {"text": "They talked.", "key_points": [], "next_actions": []},
    "recording_url": "/api/calls/call_1/recording",
}


def call(*, cut: bool = True, errors: tuple[str, ...] = ()) -> Any:
    played = [SimpleNamespace(start_ms=0, end_ms=500, payload=bytes(4_000))]
    clears = [SimpleNamespace(received_at_ms=400)] if cut else []
    playout = SimpleNamespace(segments=played, clears=clears)
    return cast("Any", SimpleNamespace(streams=[SimpleNamespace(playout=playout)], errors=list(errors)))


def without_greeting(record: dict[str, Any]) -> None:
    del record["transcript"][1]


def with_shares_beyond_the_whole(record: dict[str, Any]) -> None:
    record["latency"]["turns"][0]["model_ms"] = 646  # a frame is counted twice


def with_one_latency(record: dict[str, Any]) -> None:
    del record["latency"]["turns"][1]


def with_a_caller_who_was_not_understood(record: dict[str, Any]) -> None:
    record["transcript"][2]["text"] = ""


def without_summary(record: dict[str, Any]) -> None:
    record["summary"] = None


def test_a_complete_record_misses_nothing() -> None:
    assert missing_parts(RECORD, call(), has_file=True, is_booked=True) == []
    assert missing_parts(RECORD, call(), has_file=True, is_booked=False) == ["the appointment"]


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (without_greeting, ["the greeting"]),
        (with_shares_beyond_the_whole, ["shares of the latency that add up"]),
        (with_one_latency, ["a latency for each answer"]),
        (lambda record: record.update(latency=None), ["a latency for each answer"]),
        (with_a_caller_who_was_not_understood, ["two turns of the caller"]),
        (without_summary, ["a summary"]),
        (lambda record: record.update(status="failed"), ["a call that is completed"]),
        (lambda record: record.update(interruptions=[]), ["the interruption"]),
        (lambda record: record.update(recording_url=None), ["the recording"]),
    ],
)
def test_each_part_is_missed(spoil: Callable[[dict[str, Any]], None], missing: list[str]) -> None:
    record = deepcopy(RECORD)
    spoil(record)
    assert missing_parts(record, call(), has_file=True, is_booked=True) == missing


def test_what_the_carrier_saw_is_missed_too() -> None:
    assert missing_parts(RECORD, call(cut=False, errors=("31941",)), has_file=False, is_booked=True) == [
        "the interruption at the carrier",
        "the recording",
        "a call without carrier errors",
    ]


class Printed(Demo):
    """A run of the demo whose call is over."""

    def __init__(self, settings: UpSettings) -> None:
        self.settings, self.lines = settings, list[str]()

    def _print(self, text: str) -> None:
        self.lines.append(text)


async def test_the_printed_shares_add_up_and_what_is_missing_fails_it(tmp_path: Path) -> None:
    printed = Printed(UpSettings(home=tmp_path))
    printed._report(RECORD, call())
    assert "  turn 4: 640 ms, of which HUM's own 14 ms, the model's 590 ms, the network's 36 ms" in printed.lines
    record = deepcopy(RECORD)
    without_greeting(record)
    with pytest.raises(DemoFailed, match=r"^missing: the greeting, the recording$"):
        await printed._check(record, call(), is_booked=True)
