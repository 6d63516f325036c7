"""An end that the agent asks for is bound to its last words: whoever talks into them goes on talking."""

import json
from collections.abc import Callable

import pytest

from media.core.commands import LeaveStream
from media.core.legmessages import HangUp, MoveOn
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.runningtools import GOES_ON
from media.core.types import BargedIn, CallEnded, CommandReply, ToolCalled, ToolFinished
from sandbox.openai import FunctionCall, Turn
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone

END_CALL = Tool("end_call", "Hang up.", '{"type":"object","properties":{}}', outcome=HangUp("agent"))
PLAN = call_plan("", TurnModel("gpt-realtime", "marin", "t"), tools=(END_CALL,))
ANSWER = Turn(say="Of course.")
GOODBYE = Turn(say="Thank you for calling, and goodbye.", call=FunctionCall("end_call"))


@pytest.fixture
def saying_goodbye(make_phone: Callable[..., Phone]) -> Callable[..., Phone]:
    """The agent is in its last words, which go on for more than a second; all of them have been generated."""

    def begun(plan: CallPlan = PLAN, then: Turn = ANSWER) -> Phone:
        phone = make_phone(plan, answer_ms=3_000)
        phone.after(500)
        phone.model.player.turns = [GOODBYE, then]
        phone.speak(500)
        waited = 0
        while not phone.told(ToolCalled) or not phone.carrier.heard(phone.world.now):
            phone.after(20)
            assert (waited := waited + 20) < 5_000
        phone.after(400)
        assert phone.hung_up is None
        return phone

    return begun


def ends(phone: Phone) -> list[tuple[str, bool]]:
    return [(each.status, "error" in each.output_json) for each in phone.told(ToolFinished)]


def outputs(phone: Phone) -> list[dict[str, str]]:
    items = [each["item"] for each in phone.model.received if each["type"] == "conversation.item.create"]
    return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]


def test_it_is_heard_to_its_end_first(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye()
    assert ends(phone) == [], "nothing is done yet"
    phone.after(4_000)
    assert phone.hung_up == HangUp("agent")
    assert ends(phone) == [("ok", False)]
    assert isinstance(phone.reports[-1], CallEnded)
    assert outputs(phone) == []


def test_a_caller_who_talks_into_it_is_answered(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye()
    phone.speak(900)
    phone.after(2_500)
    assert [each.verdict for each in phone.told(BargedIn)] == ["cut"]
    assert ends(phone) == [("failed", True)]
    assert outputs(phone) == [{"error": GOES_ON}], "the model knows that the call goes on"
    assert phone.hung_up is None
    phone.after(10_000)
    assert phone.hung_up is None
    assert phone.model.types().count("response.create") == 2, "and answers what was said"
    assert phone.model.violations == []


def test_the_agent_may_end_it_then(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye(then=GOODBYE)
    phone.speak(900)
    phone.after(8_000)
    assert phone.hung_up == HangUp("agent")
    assert ends(phone) == [("failed", True), ("ok", False)]


@pytest.mark.parametrize("after_ms", [0, 600])
def test_a_nod_or_a_short_goodbye_changes_nothing(saying_goodbye: Callable[..., Phone], after_ms: int) -> None:
    phone = saying_goodbye()
    phone.after(after_ms)
    phone.speak(160)
    phone.after(6_000)
    assert [each.verdict for each in phone.told(BargedIn)] == ["resumed"]
    assert phone.hung_up == HangUp("agent")
    assert ends(phone) == [("ok", False)]
    assert phone.model.types().count("response.create") == 1, "nothing follows the last words"


def test_who_can_not_interrupt_does_not_here_either(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye(changed(PLAN, interruptible=False))
    phone.speak(900)
    phone.after(5_000)
    assert (phone.hung_up, ends(phone)) == (HangUp("agent"), [("ok", False)])


def test_the_caller_hangs_up_in_it(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye()
    phone.carrier.stop()
    phone.after(200)
    assert ends(phone) == [("ok", False)]
    assert phone.told(CallEnded)[-1].reason == "caller"


def test_a_model_that_is_lost_meanwhile_can_be_told_nothing(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye()
    phone.lose()
    phone.after(5_000)
    assert (phone.hung_up, ends(phone)) == (HangUp("agent"), [("ok", False)])


def test_a_person_still_moves_the_call(saying_goodbye: Callable[..., Phone]) -> None:
    phone = saying_goodbye()
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c1"), phone.world.now))
    phone.after(5_000)
    assert phone.told(CommandReply) == [CommandReply("c1", "done")]
    assert phone.hung_up == MoveOn("transfer")
    assert ends(phone) == [("ok", False)]


def test_an_end_without_a_word_says_goodbye(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={PromptKind.GOODBYE: Prompt("Bye", bytes(800))}))
    phone.after(500)
    phone.model.player.turns = [Turn(call=FunctionCall("end_call"))]
    phone.speak(500)
    phone.after(3_000)
    assert (phone.hung_up, ends(phone)) == (HangUp("agent"), [("ok", False)])
    assert phone.carrier.heard(phone.world.now) == bytes(800)
