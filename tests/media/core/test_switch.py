"""Another flow's agent takes a call over: its session, voice and tools follow, and the caller hears no gap."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from media.core.commands import SwitchFlow
from media.core.legmessages import HangUp
from media.core.modelmessages import Tool, TurnModel
from media.core.session import TAKEN_OVER
from media.core.types import CommandReply, DialModel, FlowSwitched, Report, RunTool, TurnEnded
from sandbox.openai import Turn
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, calls

SCHEMA = '{"type":"object","properties":{}}'
TRANSFER_TO_FLOW = Tool("transfer_to_flow", "", SCHEMA, 4_000)
FRONT = call_plan("You are the front desk.", TurnModel("gpt-realtime", "marin", "t"), tools=(TRANSFER_TO_FLOW,))
BILLING = changed(
    FRONT,
    instructions="You are billing.",
    model=TurnModel("gpt-realtime-mini", "cedar", "t"),
    tools=(Tool("look_up_bill", "", SCHEMA, 4_000),),
    idle_gaps_ms=(5_000,),
)
SWITCH = SwitchFlow(BILLING, "flow_b", 3)


@pytest.fixture
def front_desk(make_phone: Callable[..., Phone]) -> tuple[Phone, RunTool]:
    """A call whose agent has just called the tool; the request, and the call."""
    phone = make_phone(FRONT)
    phone.after(1_000)
    phone.model.player.turns = [calls("transfer_to_flow")]
    phone.speak(500)
    phone.after(1_600)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    return phone, run


def switch(phone: Phone, run: RunTool) -> None:
    phone.carry(phone.talk.tool_result(run.tool_call_id, '{"handed_over":true}', "ok", phone.world.now, SWITCH))


def sessions(phone: Phone) -> list[dict[str, Any]]:
    return [each["session"] for each in phone.model.received if each["type"] == "session.update"]


def texts(phone: Phone) -> list[str]:
    items = [m["item"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


def test_the_other_agent_has_its_own_prompt_voice_and_tools_and_knows_what_was_said(
    front_desk: tuple[Phone, RunTool],
) -> None:
    phone, run = front_desk
    switch(phone, run)
    phone.after(4_000)
    first, second = sessions(phone)
    assert (first["instructions"], second["instructions"]) == ("You are the front desk.", "You are billing.")
    assert second["audio"]["output"]["voice"] == "cedar"
    assert [tool["name"] for tool in second["tools"]] == ["look_up_bill"]
    assert texts(phone)[-1] == TAKEN_OVER, "after what was said"
    assert phone.told(FlowSwitched) == [
        FlowSwitched("flow_b", 3, phone.told(FlowSwitched)[0].at_ms, "gpt-realtime-mini")
    ]
    assert phone.talk.plan is BILLING


def test_it_speaks_first(front_desk: tuple[Phone, RunTool]) -> None:
    phone, run = front_desk
    before = len(phone.told(TurnEnded))
    switch(phone, run)
    phone.after(6_000)
    spoken = [turn for turn in phone.told(TurnEnded)[before:] if turn.role == "agent"]
    assert spoken, "the new agent has said something, though the caller has not"


def test_a_loss_of_no_session_is_counted(front_desk: tuple[Phone, RunTool]) -> None:
    """However often a call switches its flow, it does not look like a model that fails."""
    phone, _ = front_desk
    for number in range(FRONT.patience.losses_per_minute + 2):
        phone.carry(phone.talk.command(replace(SWITCH, id=str(number)), phone.world.now))
        phone.after(3_000)
    assert phone.hung_up is None
    assert len(sessions(phone)) > FRONT.patience.losses_per_minute


def test_a_caller_who_speaks_meanwhile_is_heard_by_the_other_agent(front_desk: tuple[Phone, RunTool]) -> None:
    phone, run = front_desk
    switch(phone, run)
    phone.speak(900)
    phone.after(5_000)
    callers = [turn for turn in phone.told(TurnEnded) if turn.role == "caller"]
    assert len(callers) == 2


def test_the_agent_finishes_its_sentence_first(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(FRONT)
    phone.after(1_000)
    phone.model.player.turns = [Turn(say="One moment, I will connect you with billing now.", latency_ms=300)]
    phone.speak(500)
    phone.after(1_800)
    phone.carry(phone.talk.command(SWITCH, phone.world.now))
    phone.after(8_000)
    first, second = [turn for turn in phone.told(TurnEnded) if turn.role == "agent"][:2]
    assert first.heard_text == first.text, "its last words were heard to the end"
    assert len(sessions(phone)) == 2
    assert second.start_ms - first.end_ms < 1_000, "the other's session was dialled meanwhile"


def test_a_call_that_is_closing_switches_no_more(front_desk: tuple[Phone, RunTool]) -> None:
    phone, _ = front_desk
    phone.carry(phone.talk.command(SWITCH, phone.world.now))
    phone.carrier.stop()
    phone.after(500)
    assert phone.hung_up == HangUp("caller")
    assert phone.talk.command(replace(SWITCH, id="c1"), phone.world.now) == [Report(CommandReply("c1", "over"))]


def test_who_commands_it_learns_that_it_was_done(front_desk: tuple[Phone, RunTool]) -> None:
    phone, _ = front_desk
    phone.carry(phone.talk.command(replace(SWITCH, id="c1"), phone.world.now))
    assert phone.told(CommandReply) == [CommandReply("c1", "done")]
    phone.after(3_000)
    phone.carry(phone.talk.command(replace(SWITCH, id="c1"), phone.world.now))
    phone.after(3_000)
    assert phone.told(CommandReply) == [CommandReply("c1", "done")] * 2, "the answer was lost, and the command repeated"
    assert len(phone.told(FlowSwitched)) == 1, "it is carried out once"


def test_its_patience_is_its_own(front_desk: tuple[Phone, RunTool]) -> None:
    phone, run = front_desk
    switch(phone, run)
    phone.after(20_000)
    assert phone.hung_up == HangUp("idle"), "billing gives no prompts and waits 5 s"


def test_one_dial_for_one_switch(front_desk: tuple[Phone, RunTool]) -> None:
    phone, run = front_desk
    dials = sum(isinstance(action, DialModel) for _, action in phone.actions)
    switch(phone, run)
    phone.after(3_000)
    assert sum(isinstance(action, DialModel) for _, action in phone.actions) == dials + 1


def test_a_session_that_follows_one_that_broke_knows_of_the_switch_too(front_desk: tuple[Phone, RunTool]) -> None:
    phone, run = front_desk
    switch(phone, run)
    phone.fate = "closes"
    phone.after(600)
    phone.fate = ""
    phone.model.received.clear()
    phone.after(4_000)
    assert TAKEN_OVER in texts(phone)
