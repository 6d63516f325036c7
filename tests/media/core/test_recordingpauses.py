"""What must not be kept: the machine alone."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.core.carrierclock import CarrierClock
from media.core.plans import PauseRules
from media.core.recordingpauses import BY_TOOL, NOT_RECORDED, NOT_RECORDED_JSON, RecordingPauses
from media.core.types import (
    Action,
    Delta,
    Digits,
    RecordAgent,
    RecordCaller,
    RecordingPaused,
    Report,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    UnderWay,
    Unrecord,
)
from tests.support.examples import examples
from tests.support.simulation import Phone

Told = TypeVar("Told")
Role = Literal["caller", "agent"]
SECRET = "4111 1111"
LONGEST_MS = 60_000
RULES = PauseRules(
    on_keys=True, phrases=("card number",), tools=frozenset({"pay"}), longest_ms=LONGEST_MS, keys_ms=3_000
)


def machine(rules: PauseRules = RULES) -> tuple[RecordingPauses, list[Action]]:
    """On a line without delay: the call's clock is the local one."""
    clock, out = CarrierClock(0.0), list[Action]()
    clock.caller_frame(0, 0.0)
    return RecordingPauses(rules, clock, out.append), out


def told(out: list[Action], kind: type[Told]) -> list[Told]:
    return [action.event for action in out if isinstance(action, Report) and isinstance(action.event, kind)]


def turn(role: Role, start_ms: int, end_ms: int, text: str = SECRET, item_id: str = "i") -> TurnEnded:
    return TurnEnded(1, role, text, text, start_ms, end_ms, False, item_id)


def pause_spans(out: list[Action]) -> list[tuple[int, int]]:
    return [(each.start_ms, each.end_ms) for each in told(out, RecordingPaused) if each.end_ms is not None]


def test_without_a_pause_everything_passes_unchanged() -> None:
    pauses, out = machine()
    actions: list[Action] = [
        RecordCaller(b"a" * 160, 0),
        Report(turn("caller", 0, 10)),
        Report(Delta("caller", "i", SECRET, 0)),
        Report(Digits("12", 5)),
        Report(ToolCalled("c", "price", '{"a":1}')),
        Report(ToolFinished("c", '{"b":2}', "ok")),
    ]
    for action in actions:
        pauses.emit(action)
    assert out == actions


@pytest.mark.parametrize(
    ("role", "start_ms", "end_ms", "hidden"),
    [
        ("caller", 0, 5_000, False),
        ("caller", 0, 5_001, True),
        ("caller", 6_000, 7_000, True),
        ("caller", 8_999, 12_000, True),
        ("caller", 9_000, 12_000, False),
        ("caller", 4_000, 12_000, True),
        ("caller", 6_000, 0, True),  # one without an end
        ("agent", 4_000, 6_000, False),  # it asks for what is not recorded
        ("agent", 5_000, 6_000, True),
        ("agent", 8_000, 12_000, True),
        ("agent", 9_000, 12_000, False),
    ],
)
def test_turns_that_touch_a_pause_have_no_words(role: Role, start_ms: int, end_ms: int, hidden: bool) -> None:
    pauses, out = machine()
    pauses.pause(BY_TOOL, 5_000)
    pauses.resume(9_000, 9_000)
    pauses.watch(9_000)
    pauses.emit(Report(turn(role, start_ms, end_ms)))
    (ended,) = told(out, TurnEnded)
    assert (ended.text, ended.heard_text) == ((NOT_RECORDED,) * 2 if hidden else (SECRET,) * 2)
    assert (ended.start_ms, ended.end_ms, ended.item_id) == (start_ms, end_ms, "i")
    assert pause_spans(out) == [(5_000, 9_000)]


def test_a_turn_under_way_is_hidden_as_long_as_nobody_knows_its_end() -> None:
    pauses, out = machine()
    steps: tuple[tuple[int, Callable[[], None]], ...] = (
        (5_000, lambda: pauses.pause(BY_TOOL, 5_000)),
        (9_000, lambda: pauses.resume(9_000, 9_000)),
    )
    for now_ms, step in steps:
        step()
        pauses.watch(now_ms)
        pauses.emit(Report(UnderWay((turn("caller", 4_000, 4_000), turn("agent", 4_500, 5_500, "Your card number?")))))
    pauses.emit(Report(UnderWay((turn("caller", 9_500, 9_500),))))
    assert [[each.text for each in under_way.turns] for under_way in told(out, UnderWay)] == [
        [NOT_RECORDED, "Your card number?"],
        [NOT_RECORDED, "Your card number?"],
        [SECRET],
    ]


def test_deltas_of_a_pause_are_dropped_also_when_they_come_late() -> None:
    pauses, out = machine()
    pauses.pause(BY_TOOL, 5_000)
    pauses.emit(Report(Delta("agent", "a", SECRET, 4_900)))
    pauses.emit(Report(Delta("caller", "c", "", 6_000)))  # only that somebody speaks
    pauses.resume(9_000, 9_000)
    pauses.watch(9_000)
    for delta in (
        Delta("caller", "c", SECRET, 4_000),
        Delta("agent", "b", SECRET, 8_000),
        Delta("caller", "d", "bye", 9_000),
    ):
        pauses.emit(Report(delta))
    assert [each.text for each in told(out, Delta)] == ["", "bye"]


def test_a_tool_that_runs_in_a_pause_leaves_neither_arguments_nor_a_result() -> None:
    pauses, out = machine(PauseRules())
    pauses.tool_called("before", "price", 1_000)
    pauses.emit(Report(ToolCalled("before", "price", '{"of":"tea"}')))
    pauses.pause(BY_TOOL, 5_000)
    pauses.tool_called("within", "charge", 6_000)
    pauses.emit(Report(ToolCalled("within", "charge", f'{{"card":"{SECRET}"}}')))
    pauses.emit(Report(ToolFinished("before", f'{{"said":"{SECRET}"}}', "ok")))
    pauses.resume(9_000, 9_000)
    pauses.watch(9_000)
    pauses.emit(Report(ToolFinished("within", f'{{"paid":"{SECRET}"}}', "ok")))
    pauses.tool_finished("within")
    pauses.tool_called("after", "price", 9_500)
    pauses.emit(Report(ToolCalled("after", "price", '{"of":"milk"}')))
    assert [each.arguments_json for each in told(out, ToolCalled)] == [
        '{"of":"tea"}',
        NOT_RECORDED_JSON,
        '{"of":"milk"}',
    ]
    assert [each.output_json for each in told(out, ToolFinished)] == [NOT_RECORDED_JSON] * 2


def test_one_of_the_flows_tools_pauses_until_it_has_finished() -> None:
    pauses, out = machine()
    pauses.tool_called("c", "pay", 5_000)
    pauses.emit(Report(ToolCalled("c", "pay", f'{{"card":"{SECRET}"}}')))
    pauses.watch(7_000)
    assert pauses.paused
    pauses.emit(Report(ToolFinished("c", f'{{"card":"{SECRET}"}}', "ok")))
    pauses.tool_finished("c")
    pauses.watch(8_000)
    assert pause_spans(out) == [(5_000, 8_000)] and SECRET not in repr(out)
    assert told(out, RecordingPaused)[0].cause == "run"  # whichever call of the tool it was


def test_keys_pause_from_their_tone_on_and_a_while_after_the_last() -> None:
    pauses, out = machine()
    for now_ms in (5_000, 7_500):
        pauses.key(now_ms)
    pauses.watch(10_400)
    pauses.emit(Report(Digits("41", 10_400)))
    pauses.watch(10_500)
    assert [each for each in out if isinstance(each, Unrecord)] == [Unrecord(4_500)]
    assert (pause_spans(out), [each.digits for each in told(out, Digits)]) == ([(4_500, 10_500)], [""])
    pauses.emit(Report(Digits("411", 10_600)))
    assert told(out, Digits)[-1].digits == "", "it is the same entry"
    pauses.entry_finished()
    pauses.emit(Report(Digits("1", 20_000)))
    assert told(out, Digits)[-1].digits == "1"


def test_without_the_rule_keys_pause_nothing_but_in_a_pause_they_have_no_digits() -> None:
    pauses, out = machine(PauseRules())
    pauses.key(1_000)
    pauses.emit(Report(Digits("1", 3_000)))
    pauses.entry_finished()
    pauses.pause(BY_TOOL, 5_000)
    pauses.key(6_000)
    pauses.resume(6_500, 6_500)
    pauses.watch(6_500)
    pauses.emit(Report(Digits("2", 7_500)))
    assert [each.digits for each in told(out, Digits)] == ["1", ""]


def test_a_resume_waits_until_what_was_said_before_it_was_heard() -> None:
    pauses, out = machine()
    pauses.pause(BY_TOOL, 5_000)
    pauses.resume(8_000, 11_000)  # three seconds of "that is 4111 1111, right?" are on their way
    pauses.watch(8_020)
    assert pauses.paused
    pauses.watch(11_000)
    assert pause_spans(out) == [(5_000, 11_000)]


def test_a_forgotten_resume_is_bounded_and_the_next_pause_has_its_own_time() -> None:
    pauses, out = machine()

    def paused() -> bool:
        return pauses.paused

    pauses.pause(BY_TOOL, 5_000)
    for now_ms in range(5_000, 5_000 + LONGEST_MS, 1_000):
        pauses.watch(now_ms)
        assert paused()
    pauses.watch(5_000 + LONGEST_MS)
    assert not paused()
    pauses.pause(BY_TOOL, 80_000)
    pauses.watch(80_000 + LONGEST_MS - 1)
    assert paused()
    pauses.watch(80_000 + LONGEST_MS)
    assert pause_spans(out) == [(5_000, 5_000 + LONGEST_MS), (80_000, 80_000 + LONGEST_MS)]


def test_keys_pressed_for_ever_are_bounded_too() -> None:
    pauses, out = machine()
    for now_ms in range(1_000, 1_000 + 2 * LONGEST_MS, 500):
        pauses.key(now_ms)
        pauses.watch(now_ms)
    assert len(pause_spans(out)) == 1, "it ends, and the next key begins another"


def says(pauses: RecordingPauses, item_id: str, text: str, now_ms: int, start_ms: int) -> None:
    for piece in (text[at : at + 3] for at in range(0, len(text), 3)):
        pauses.agent_words(item_id, piece, now_ms)
    pauses.emit(Report(turn("agent", start_ms, start_ms + 1_000, text, item_id)))


def test_a_phrase_pauses_until_the_agent_moves_on() -> None:
    pauses, out = machine()
    says(pauses, "a", "May I have your Card\n number, please?", 5_000, 4_000)
    assert pauses.paused
    pauses.emit(Report(turn("caller", 6_000, 8_000)))
    says(pauses, "b", "And what was the card number's end?", 8_500, 9_000)  # not done yet
    pauses.watch(9_900)
    pauses.emit(Report(turn("caller", 10_000, 11_000)))
    assert pauses.paused
    says(pauses, "c", f"Thank you, {SECRET}. Anything else?", 11_500, 12_000)
    pauses.watch(13_000)
    assert pause_spans(out) == [(5_000, 13_000)]
    assert SECRET not in repr(out)


def test_an_answer_before_the_caller_has_said_anything_ends_nothing() -> None:
    pauses, _ = machine()
    says(pauses, "a", "Your card number, please.", 5_000, 5_000)
    says(pauses, "b", "Take your time.", 7_000, 7_000)
    pauses.watch(9_000)
    assert pauses.paused


def test_what_pauses_in_two_ways_goes_on_when_neither_does_any_more() -> None:
    pauses, out = machine()
    pauses.tool_called("c", "pay", 5_000)
    pauses.key(6_000)
    pauses.tool_finished("c")
    pauses.watch(7_000)
    assert pauses.paused
    pauses.watch(9_000)
    assert pause_spans(out) == [(5_000, 9_000)]


@pytest.mark.parametrize("kind", [RecordCaller, RecordAgent])
@pytest.mark.parametrize(
    ("start_ms", "silent"),
    [(4_960, range(0)), (4_990, range(80, 160)), (6_000, range(160)), (8_995, range(40)), (9_000, range(0))],
)
def test_audio_is_silent_to_the_sample(kind: type[RecordCaller | RecordAgent], start_ms: int, silent: range) -> None:
    pauses, out = machine()
    pauses.pause(BY_TOOL, 5_000)
    pauses.resume(9_000, 9_000)
    pauses.watch(9_000)
    pauses.emit(kind(b"a" * 160, start_ms))
    sound = out[-1]
    assert isinstance(sound, RecordCaller | RecordAgent)
    payload, at_ms = sound.payload, sound.at_ms
    assert (at_ms, [n for n, byte in enumerate(payload) if byte == 0xFF]) == (start_ms, list(silent))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pause", "resume", "key", "say", "run", "done", "digits", "turn", "delta", "wait"]),
        st.integers(1, 4_000),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=examples(200), deadline=None)
def test_whatever_the_order_nothing_secret_of_a_pause_leaves(steps: list[tuple[str, int]]) -> None:
    """A secret is said only while a pause is on, by whom and however it may."""
    pauses, out = machine()
    now_ms, running = 0.0, []
    for what, ms in steps:
        now_ms += ms
        pauses.watch(now_ms)
        secret, at_ms = SECRET if pauses.paused else "tea", int(now_ms)
        match what:
            case "pause":
                pauses.pause(BY_TOOL, now_ms)
            case "resume":
                pauses.resume(now_ms, now_ms + ms)
            case "key":
                pauses.key(now_ms)
            case "digits":
                secret = SECRET if pauses.paused and "" in pauses._secret else "1"
                pauses.emit(Report(Digits(secret, at_ms)))
                pauses.entry_finished()
            case "say":
                pauses.agent_words(str(at_ms), f"card number {secret}", now_ms)
            case "run":
                running.append(str(at_ms))
                pauses.tool_called(running[-1], "charge", now_ms)
                pauses.emit(Report(ToolCalled(running[-1], "charge", f'"{secret}"')))
            case "done" if running:
                pauses.emit(Report(ToolFinished(running[0], f'"{secret}"', "ok")))
                pauses.tool_finished(running.pop(0))
            case "turn":
                pauses.emit(Report(turn("caller", at_ms - 1, at_ms + 1, secret)))
                pauses.emit(Report(UnderWay((turn("caller", at_ms, at_ms, secret),))))
            case "delta":
                pauses.emit(Report(Delta("caller", "i", secret, at_ms)))
    assert SECRET not in repr(out)
    spans = pause_spans(out)
    assert all(first[1] <= then[0] for first, then in pairwise(spans)), "pauses do not overlap"


def test_another_flows_rules_are_its_own(make_phone: Callable[..., Phone]) -> None:
    pauses, _ = machine()
    pauses.follow(PauseRules(phrases=("password",)))
    says(pauses, "a", "Your card number, please.", 5_000, 5_000)
    pauses.key(5_500)
    assert not pauses.paused
    says(pauses, "b", "Your password, please.", 6_000, 6_000)
    assert pauses.paused
