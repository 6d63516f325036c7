"""Control's session for a call as a conversation's plan."""

from typing import Any

import pytest

from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media.core.legmessages import HangUp
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import Prompt, PromptKind
from media.plan import plan_of

GIVEN = MediaSettings(voices="marin", realtime_models="rt", transcribe_model="ears")


def test_what_is_not_said_has_defaults() -> None:
    plan = plan_of(pb.OpenSessionResponse(call_id="call_1", instructions="Be brief."), GIVEN)
    assert plan.agent.model == TurnModel("rt", "marin", "ears")
    assert (plan.agent.tools, plan.recording.recording) == ((), False)
    assert (plan.limits.max_call_ms, plan.patience.transcript_deadline_ms) == (1_800_000, 15_000)
    assert plan.silences.idle_gaps_ms == (36_000,)
    turns = plan.turns
    assert (turns.interruptible, turns.protect_announcement) == (True, True)
    assert (turns.cut_after_ms, turns.resume_after_ms, plan.agent.model.eagerness) == (350, 200, "high")


def test_all_that_is_said_arrives() -> None:
    session = pb.OpenSessionResponse(
        call_id="call_1",
        model="other",
        voice="ash",
        language="de-CH",
        transcription_model="t",
        tools=[
            pb.Tool(name="price", description="The price.", parameters_json="{}", timeout_ms=2_000),
            pb.Tool(name="end_call", parameters_json="{}", outcome=pb.Outcome(hang_up=pb.HangUpNow())),
        ],
        turn_config_json='{"interruptible": false, "cut_after_ms": 500, "eagerness": "low"}',
        idle_prompts_json='{"16": "Hello?", "8.5": "Are you there?"}',
        max_call_seconds=90,
        limit_warning_seconds=20,
        announce_recording=True,
        recording_enabled=True,
        clips=[
            pb.Clip(kind="greeting", text="Hi", audio_ulaw=b"\x01"),
            pb.Clip(kind="hold", text="One moment"),
            pb.Clip(kind="of_a_later_release", text="?"),
            pb.Clip(kind="idle", text="Hello?", audio_ulaw=b"3"),
            pb.Clip(kind="limit", text="Soon over", audio_ulaw=b"4"),
            *(
                pb.Clip(kind="filler", text=text, audio_ulaw=ulaw)
                for text, ulaw in (("Hm", b"1"), ("Eh", b""), ("So", b"2"))
            ),
        ],
    )
    plan = plan_of(session, GIVEN)
    assert plan.agent.model == TurnModel("other", "ash", "t", "de", "low")
    assert plan.limits.max_call_ms == 90_000
    assert (plan.turns.interruptible, plan.turns.cut_after_ms, plan.turns.resume_after_ms) == (False, 500, 200)
    assert plan.silences.idle_gaps_ms == (8_500, 7_500, 8_500)
    assert plan.silences.idle_prompts == (Prompt("Are you there?"), Prompt("Hello?", b"3"))
    assert plan.limits.limit_warning_ms == 20_000
    assert (plan.recording.recording, plan.recording.announce_recording) == (True, True)
    assert (plan.silences.fillers, plan.silences.filler_after_ms) == ((Prompt("Hm", b"1"), Prompt("So", b"2")), 750)
    assert plan.agent.tools == (
        Tool("price", "The price.", "{}", 2_000),
        Tool("end_call", "", "{}", outcome=HangUp("agent")),
    )
    assert plan.prompts == {
        PromptKind.GREETING: Prompt("Hi", b"\x01"),
        PromptKind.HOLD: Prompt("One moment"),
        PromptKind.LIMIT: Prompt("Soon over", b"4"),
    }


@pytest.mark.parametrize(
    ("prompts", "end_seconds", "gaps_ms"),
    [
        ('{"8": "Hello?"}', 0, (8_000, 8_000)),
        ('{"8": "Hello?"}', 12, (8_000, 4_000)),
        ('{"8": "Hello?", "20": "Still there?"}', 15, (8_000, 7_000)),  # nothing is said after the end
        ("{}", 0, (36_000,)),
        ("{}", 9, (9_000,)),
    ],
)
def test_a_silent_call_ends_when_it_is_told_to(prompts: str, end_seconds: int, gaps_ms: tuple[int, ...]) -> None:
    plan = plan_of(pb.OpenSessionResponse(idle_prompts_json=prompts, idle_end_seconds=end_seconds), GIVEN)
    assert plan.silences.idle_gaps_ms == gaps_ms
    assert len(plan.silences.idle_prompts) == len(gaps_ms) - 1


def test_a_short_calls_warning_comes_in_its_second_half() -> None:
    session = pb.OpenSessionResponse(max_call_seconds=30, limit_warning_seconds=60)
    assert plan_of(session, GIVEN).limits.limit_warning_ms == 15_000


@pytest.mark.parametrize(
    "facts",
    [
        {"turn_config_json": "{"},
        {"turn_config_json": '{"unknown": 1}'},
        {"turn_config_json": '{"message_ms": 0}'},
        {"turn_config_json": '{"cut_after_ms": -1}'},
        {"turn_config_json": '{"interruptible": "no"}'},
        {"turn_config_json": "[]"},
        {"tools": [pb.Tool(name="f", parameters_json="[]", timeout_ms=1)]},
        {"tools": [pb.Tool(name="f", parameters_json="{}")]},
        {"tools": [pb.Tool(name="f", parameters_json="{}", timeout_ms=1)] * 2},
        {"tools": [pb.Tool(name="f", parameters_json="{}", outcome=pb.Outcome())]},
        {"idle_prompts_json": '{"soon": "Hello?"}'},
        {"idle_prompts_json": "[]"},
    ],
)
def test_what_is_not_the_contract_is_an_error_that_the_shell_expects(facts: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        plan_of(pb.OpenSessionResponse(**facts), GIVEN)
