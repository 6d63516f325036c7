"""What is told of sounds that did not stop the agent."""

import pytest

from media.core.refusedonsets import DOUBT_MS, MOST, Refusals
from media.core.types import Action, Event, OnsetsRefused, RefusedOnset, Report


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def refusals(told: list[Event]) -> Refusals:
    def emit(action: Action) -> None:
        assert isinstance(action, Report)
        told.append(action.event)

    return Refusals(emit)


def test_the_onsets_of_one_sound_are_told_once_when_it_is_over(refusals: Refusals, told: list[Event]) -> None:
    for at_ms in range(1_000, 1_200, 20):
        refusals.refused(at_ms, "voice", "echo")
    refusals.advance(1_560)
    assert told == [] and refusals.pending
    refusals.advance(1_580)
    assert told == [RefusedOnset(1_000, 1_180, "voice")] and not refusals.pending


def test_what_was_only_doubted_is_an_interruption_and_no_refusal(refusals: Refusals, told: list[Event]) -> None:
    refusals.refused(1_000, "hiss", "echo")
    refusals.refused(1_020, "voice", "echo")
    refusals.passed()
    refusals.advance(9_000)
    refusals.end()
    assert told == []


def test_who_was_refused_for_long_before_they_were_heard_is_told(refusals: Refusals, told: list[Event]) -> None:
    refusals.refused(1_000, "voice", "echo")
    refusals.refused(1_000 + DOUBT_MS, "voice", "echo")
    refusals.passed()
    assert told == [RefusedOnset(1_000, 1_000 + DOUBT_MS, "voice")]


def test_of_a_call_with_a_loud_echo_the_rest_is_counted(refusals: Refusals, told: list[Event]) -> None:
    for n in range(MOST + 7):
        refusals.refused(1_000 * n, "voice", "echo")
        refusals.advance(1_000 * n + 500)
    refusals.refused(1_000_000, "pitch", "echo")
    refusals.end()
    assert len(told) == MOST + 1 and told[-1] == OnsetsRefused(8)


def test_the_first_reason_of_a_sound_is_told(refusals: Refusals, told: list[Event]) -> None:
    refusals.refused(1_000, "voice", "background")
    refusals.refused(1_100, "voice", "echo")
    refusals.end()
    assert told == [RefusedOnset(1_000, 1_100, "voice", "background")]
