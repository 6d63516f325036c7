"""Events as the reports that control stores."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from hum.v1 import calls_pb2
from media.core import types
from media.reports import MAX_MS, Recording, Reports
from tests.support.present import present

AT = datetime(2026, 3, 8, 12, 0, 0, 250_000, tzinfo=UTC)


def test_stored_reports_count_from_one_and_others_do_not_count() -> None:
    reports = Reports("call_1")
    seqs = [
        report.seq if (report := reports.of(event, AT)) else None
        for event in (
            types.CallStarted("MZ"),
            types.Delta("agent", "item", "wor", 5),
            types.ModelLost("closed"),
            types.Digits("12", 7),
        )
    ]
    assert seqs == [1, None, None, 2]
    assert reports.recorded(Recording("o/c.wav", 10, 20), AT).seq == 3


def test_only_the_agents_turns_say_what_was_heard() -> None:
    reports = Reports("call_1")
    agent = present(
        reports.of(types.TurnEnded(1, "agent", "All of it", "All", 10, 20, interrupted=True, item_id="a"), AT)
    )
    caller = present(reports.of(types.TurnEnded(2, "caller", "Yes", "Yes", 30, 40, interrupted=False, item_id="b"), AT))
    assert (agent.turn.role, agent.turn.heard_text, agent.turn.interrupted) == (calls_pb2.SPEAKER_AGENT, "All", True)
    assert not caller.turn.HasField("heard_text")
    assert (agent.turn.item_id, caller.turn.item_id) == ("1-a", "1-b")
    assert (agent.call_id, agent.at.ToDatetime(UTC)) == ("call_1", AT)


def test_a_latency_is_split_between_the_model_and_us() -> None:
    measured = types.LatencyMeasured(3, total_ms=900, first_sound_ms=700, model_ms=700, ours_ms=4)
    said = present(Reports("call_1").of(measured, AT)).latency
    assert (said.turn_seq, said.first_answer_ms, said.first_sound_ms) == (3, 900, 700)
    assert (said.model_ms, said.ours_ms) == (700, 4)


def test_an_interruption_keeps_its_verdict() -> None:
    said = present(Reports("c").of(types.BargedIn(100, "item", 80, 45, "resumed"), AT)).interruption
    assert (said.at_ms, said.heard_ms, said.reaction_ms, said.verdict) == (100, 80, 45, "resumed")
    assert not said.HasField("turn_seq")
    assert present(Reports("c").of(types.BargedIn(100, "item", 80, 45, "cut", 7), AT)).interruption.turn_seq == 7


def test_an_interruption_keeps_why_the_agent_stopped_and_went_on() -> None:
    overlap = types.BargedIn(100, "item", 80, 45, "resumed", None, "hiss", "fell_silent", 460, 140)
    said = present(Reports("c").of(overlap, AT)).interruption
    assert (said.onset, said.reason, said.decided_ms, said.spoken_ms) == ("hiss", "fell_silent", 460, 140)


def test_what_did_not_stop_the_agent_has_its_reason() -> None:
    told = Reports("c")
    refused = present(told.of(types.RefusedOnset(100, 240, "pitch"), AT)).refused_onset
    assert (refused.at_ms, refused.until_ms, refused.onset, refused.reason) == (100, 240, "pitch", "echo")
    assert present(told.of(types.OnsetsRefused(12), AT)).onsets_refused.more == 12


@pytest.mark.parametrize(
    ("output", "status", "result"),
    [
        ('{"price": 3}', "ok", '{"price": 3}'),
        ('{"error": "no"}', "failed", '{"error": "no"}'),
        ("oops", "ok", '"oops"'),
    ],
)
def test_a_tool_is_told_when_it_starts_and_as_one_when_it_ends(
    output: str, status: Literal["ok", "failed"], result: str
) -> None:
    reports = Reports("call_1")
    started = present(reports.of(types.ToolCalled("c1", "price", '{"of": '), AT)).tool_started
    finished = present(
        reports.of(types.ToolFinished("c1", output, status), AT + timedelta(milliseconds=120))
    ).tool_finished
    assert (started.name, started.status, started.arguments) == ("price", "running", '"{\\"of\\": "')
    assert (finished.id, finished.name, finished.arguments, finished.started_at) == (
        started.id,
        started.name,
        started.arguments,
        started.started_at,
    )
    assert (started.id, reports.running_tools()) == ("c1", [])
    assert (finished.status, finished.result, finished.duration_ms) == (status, result, 120)


def test_a_delta_is_no_report() -> None:
    delta = Reports("call_1").delta(types.Delta("agent", "item", "wor", 5), AT)
    assert (delta.call_id, delta.at.ToDatetime(UTC), delta.delta.text) == ("call_1", AT, "wor")
    assert (delta.delta.role, delta.delta.start_ms) == (calls_pb2.SPEAKER_AGENT, 5)
    again = Reports("call_1", 2).delta(types.Delta("agent", "item", "wor", 5), AT)
    assert (delta.delta.item_id, again.delta.item_id, again.stream_number) == ("1-item", "2-item", 2)


def test_an_end_has_its_reason_in_one_word_and_a_detail_beside_it() -> None:
    reports = Reports("call_1")
    plain = present(reports.of(types.CallEnded("idle", "", 10), AT)).ended
    fault = present(reports.of(types.CallEnded("carrier_protocol", "a second: start", 10), AT)).ended
    assert (plain.reason, plain.HasField("detail")) == ("idle", False)
    assert (fault.reason, fault.detail) == ("carrier_protocol", "a second: start")


def test_a_carriers_wild_stamp_fits_its_field() -> None:
    reports = Reports("call_1")
    assert present(reports.of(types.CallEnded("caller", "", 999_999_999_999), AT)).ended.at_ms == MAX_MS
    assert present(reports.of(types.AnnouncementPlayed(-3), AT)).announcement_played.at_ms == 0


def test_arguments_that_nest_too_deep_are_a_string() -> None:
    deep = "[" * 100_000
    started = present(Reports("call_1").of(types.ToolCalled("c1", "price", deep), AT)).tool_started
    assert started.arguments == f'"{deep}"'
