"""Expectations read what the caller heard, what HUM understood and what the carrier played."""

from typing import Any

import pytest

from evals.checks import CallEvidence, CarrierAudio, judge, ledger_error_ms
from evals.sameness import same
from evals.scenario import Expectation

RECORD: dict[str, Any] = {
    "transcript": [
        {"role": "agent", "text": "How can I help you?"},
        {"role": "caller", "text": "I would like to book a cleaning."},
        {"role": "agent", "text": "It costs ninety nine dollars.", "heard_text": "It costs", "interrupted": True},
        {"role": "agent", "text": "Never heard.", "heard_text": "", "interrupted": True},
    ],
    "tool_activity": [
        {"name": "find", "arguments": {}},
        {"name": "book", "arguments": {"day": "Tuesday", "time": "9:00 a.m."}},
    ],
    "interruptions": [{"verdict": "cut", "at_ms": 4_000, "heard_ms": 2_000, "turn_start_ms": 1_000}],
    "latency": {"turns": [{"first_answer_ms": 500}, {"first_answer_ms": 900}]},
    "end_reason": "agent",
    "outcome_label": None,
    "transfers": [],
    "duration_seconds": 20,
}
STATE = {"appointments": [{"name": "Maria Lopez", "time": "9:00 a.m."}], "open": True}


def failures(record: dict[str, Any] = RECORD, **expectation: Any) -> list[str]:
    streams = [CarrierAudio([(1_000, 3_000)], [4_000])]
    told = judge([Expectation.model_validate(expectation)], CallEvidence(record, streams, STATE))
    return [failure.kind for failure in told]


@pytest.mark.parametrize(
    ("expectation", "kinds"),
    [
        ({"tool": {"name": "book", "args": {"day": "tuesday", "time": "09:00"}, "times": 1}}, []),
        ({"tool": {"name": "book", "args": {"day": "Friday"}}}, ["tool"]),
        ({"tool": {"name": "book", "times": 2}}, ["tool"]),
        ({"tool": {"name": "cancel"}}, ["tool"]),
        ({"no_tool": "book"}, ["tool"]),
        ({"no_tool": "cancel"}, []),
        ({"order": ["find", "book"]}, []),
        ({"order": ["book", "find"]}, ["tool"]),
        ({"state": {"appointments.0.name": "maria lopez", "open": True}}, []),
        ({"state": {"appointments": [{"time": "09:00"}]}}, []),
        ({"state": {"appointments.0.name": {"matches": "^anna"}}}, ["tool"]),
        ({"state": {"open": True, "appointments.1.name": "Maria Lopez"}}, ["tool"]),
        ({"state": {"appointments": []}}, ["tool"]),
        ({"understood": "book.*cleaning"}, []),
        ({"understood": "ninety"}, ["understanding"]),
        ({"said": "it costs"}, []),
        ({"said": "ninety nine"}, ["speech"]),
        ({"never_said": "ninety nine|never heard"}, []),
        ({"never_said": "help"}, ["speech"]),
        ({"outcome": "booked"}, ["tool"]),
        ({"transferred_to": "front desk"}, ["tool"]),
        ({"end_reason": "caller"}, ["ended"]),
        ({"first_answer_p50_ms": 900}, []),
        ({"first_answer_p95_ms": 899}, ["latency"]),
        ({"interruptions_cut": 1}, []),
        ({"interruptions_cut": 2}, ["interruption"]),
        ({"ledger_error_ms": 999}, ["interruption"]),
        ({"ledger_error_ms": 1_000}, []),
        ({"turns_at_most": 3}, ["ended"]),
        ({"seconds_at_most": 20}, []),
    ],
)
def test_each_expectation(expectation: dict[str, Any], kinds: list[str]) -> None:
    assert failures(**expectation) == kinds


def test_an_agent_that_answers_nothing_is_not_fast() -> None:
    assert failures(RECORD | {"latency": None}, first_answer_p95_ms=1_500) == ["latency"]


def test_all_pieces_of_a_resumed_turn_were_heard() -> None:
    """The last spurt alone is 800 ms, and would be an error of 1,200 that is none."""
    assert ledger_error_ms(RECORD, [CarrierAudio([(1_000, 1_200), (3_200, 800)], [2_200, 4_000])]) == 0
    assert ledger_error_ms(RECORD, [CarrierAudio([(200, 500), (1_000, 2_000)], [4_000])]) == 0, (
        "what was said before is no part"
    )


@pytest.mark.parametrize("pieces", [[(10_321.4, 3_919.75)], [(10_321.4, 1_500), (11_821.4, 2_419.75)]])
def test_a_turn_that_follows_a_filler_without_a_gap_is_told_from_it(pieces: list[tuple[float, float]]) -> None:
    """As seen in a call whose model was slow: HUM's clock is 22 ms behind the carrier's."""
    interruption = {"verdict": "cut", "at_ms": 14_219, "heard_ms": 2_419, "turn_start_ms": 11_801}
    record = RECORD | {"interruptions": [interruption]}
    assert ledger_error_ms(record, [CarrierAudio([(17.4, 6_172), *pieces], [14_241.2])]) < 2


@pytest.mark.parametrize(
    ("wanted", "actual", "is_same"),
    [
        ("09:30", "nine thirty", True),
        ("9:30", "half past nine", True),
        ("14:30", "2:30 p.m.", True),
        ("12:00", "12 o'clock", True),
        ("09:30", "9:45", False),
        ("$80", "80.00", True),
        (80, "eighty one", False),
        ("+13175550199", "(317) 555-0199", True),
        ("Maria Lopez", "maria lopez.", True),
        (True, "true", False),
        (None, None, True),
        ([1, 2], [1, 2], True),
        ([1, 2], [1], False),
        ({"matches": "tue.*9"}, "Tuesday at 9", True),
        ({"matches": "fri"}, "Tuesday at 9", False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ("a", {"a": 1}, False),
    ],
)
def test_arguments_are_compared_as_types(wanted: Any, actual: Any, is_same: bool) -> None:
    assert same(wanted, actual) is is_same
