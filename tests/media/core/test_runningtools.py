"""Tools that answer late, out of order, twice or never: the state machine alone, then dialogues in virtual time."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytest

from media.core import runningtools as machine
from media.core.commands import EndCall, LeaveStream
from media.core.legmessages import HangUp, MoveOn
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.runningtools import Tools
from media.core.turnside import TurnSide
from media.core.types import CallEnded, CommandReply, ModelLost, RunTool, ToolCalled, ToolFinished, TurnEnded
from sandbox.openai import FunctionCall, Turn
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, calls

SCHEMA = '{"type":"object","properties":{}}'
PRICE, STOCK = Tool("price", "The price.", SCHEMA, 4_000), Tool("stock", "What is there.", SCHEMA, 9_000)
END_CALL = Tool("end_call", "Hang up.", SCHEMA, outcome=HangUp("agent"))
FILLER = bytes(range(1, 101)) * 8  # 100 ms
PLAN = call_plan("", TurnModel("gpt-realtime", "marin", "t"), tools=(PRICE, STOCK, END_CALL))


def story(drawn: str, limit_ms: int = 1_000) -> list[str]:
    """`+a` the model calls a, `-a` a is answered, `!a` the caller interrupts the response that called a, `x` the
    session is lost, `.` 500 ms pass.  Returns the outcome of each answer and of each timeout."""
    tools, now_ms, came = Tools({"f": Tool("f", "", SCHEMA, limit_ms)}), 0.0, []
    for step in drawn.split():
        match step[0]:
            case "+":
                tools.run(step[1:], "f", f"r{step[1:]}", now_ms)
            case "-":
                finished = tools.finish(step[1:])
                came.append(f"{step[1:]}:{finished[1].name.lower() if finished else 'nobody'}")
            case "!":
                tools.interrupted(f"r{step[1:]}")
            case "x":
                tools.session_lost()
            case ".":
                now_ms += 500
                came += [f"{each} late" for each in tools.timed_out(now_ms) if tools.finish(each)]
    return came


@pytest.mark.parametrize(
    ("drawn", "came"),
    [
        ("+a -a", ["a:caller"]),
        ("+a -a -a", ["a:caller", "a:nobody"]),
        ("-a", ["a:nobody"]),
        ("+a +b -b -a", ["b:caller", "a:caller"]),
        ("+a . . -a", ["a late", "a:nobody"]),
        ("+a . +b . -b", ["a late", "b:caller"]),
        ("+a !a -a", ["a:model"]),
        ("+a +b !a -b -a", ["b:caller", "a:model"]),
        ("+a x -a", ["a:next_session"]),
        ("+a !a x -a", ["a:next_session"]),
        ("+a x !a -a", ["a:next_session"]),
    ],
)
def test_each_comes_to_one_end(drawn: str, came: list[str]) -> None:
    assert story(drawn) == came


def test_what_is_not_run_and_why() -> None:
    tools = Tools({"f": PRICE})
    assert tools.refusal("g", "{}") == machine.UNKNOWN_TOOL
    assert tools.refusal("f", "x" * (machine.MAX_ARGUMENTS + 1)) == machine.TOO_LONG
    for number in range(machine.MAX_RUNNING):
        assert tools.refusal("f", "{}") is None
        tools.run(str(number), "f", "r", 0.0)
    assert tools.refusal("f", "{}") == machine.TOO_MANY


def test_ids_are_remembered_but_not_for_ever() -> None:
    tools = Tools({})
    assert not tools.seen_before("a")
    assert tools.seen_before("a")
    for number in range(machine.MAX_KNOWN):
        tools.seen_before(str(number))
    assert not tools.seen_before("a")


# Dialogues.


@pytest.fixture
def make_call(make_phone: Callable[..., Phone]) -> Callable[..., Phone]:
    def make(plan: CallPlan = PLAN, script: Iterable[str] = ("price",), **model: Any) -> Phone:
        phone = make_phone(plan, **model)
        phone.after(1_000)
        phone.model.player.turns = [calls(name) for name in script]
        phone.speak(500)
        phone.after(1_600)
        return phone

    return make


def runs(phone: Phone) -> list[RunTool]:
    return [action for _, action in phone.actions if isinstance(action, RunTool)]


def answer(phone: Phone, run: RunTool, output: str = '{"price":3}', status: Literal["ok", "failed"] = "ok") -> None:
    phone.carry(phone.talk.tool_result(run.tool_call_id, output, status, phone.world.now))


def outputs(phone: Phone) -> list[str]:
    items = (m["item"] for m in phone.model.received if m["type"] == "conversation.item.create")
    return [item["output"] for item in items if item["type"] == "function_call_output"]


def asked(phone: Phone) -> int:
    return phone.model.types().count("response.create")


def ends(phone: Phone) -> list[str]:
    """How each tool that was reported as started ended, in the order of their ends."""
    called = [each.tool_call_id for each in phone.told(ToolCalled)]
    finished = phone.told(ToolFinished)
    assert sorted(called) == sorted(each.tool_call_id for each in finished), "a start without an end, or with two"
    return [each.status for each in finished]


def test_the_session_has_the_plans_tools(make_call: Callable[..., Phone]) -> None:
    phone = make_call(script=())
    told = next(m for m in phone.model.received if m["type"] == "session.update")["session"]["tools"]
    assert told == [
        {"type": "function", "name": each.name, "description": each.description, "parameters": json.loads(SCHEMA)}
        for each in PLAN.agent.tools
    ]


def test_a_result_is_spoken_of(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    (run,) = runs(phone)
    assert (run.name, run.arguments_json, asked(phone)) == ("price", "{}", 1)
    answer(phone, run)
    phone.after(4_000)
    assert (outputs(phone), asked(phone), ends(phone)) == (['{"price":3}'], 2, ["ok"])
    assert phone.model.violations == []


def test_a_tool_that_does_not_answer_is_not_waited_for_beyond_its_time(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    (run,) = runs(phone)
    phone.after(3_000)
    assert outputs(phone) == []
    phone.after(4_500)
    assert outputs(phone) == ['{"error":"The tool did not answer in time."}']
    before = phone.model.types()
    answer(phone, run)  # too late
    phone.after(4_000)
    assert phone.model.types()[len(before) :] == []
    assert (asked(phone), ends(phone)) == (2, ["failed"])


def test_a_result_that_comes_twice_is_told_once(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    for _ in range(2):
        answer(phone, runs(phone)[0])
    phone.after(4_000)
    assert (len(outputs(phone)), asked(phone), ends(phone)) == (1, 2, ["ok"])


def test_results_in_any_order_are_spoken_of_once_all_are_there(make_call: Callable[..., Phone]) -> None:
    phone = make_call(script=())
    phone.model.player.turns = [Turn(call=FunctionCall("price"), more_calls=[FunctionCall("stock")])]
    phone.speak(500)
    phone.after(1_600)
    price, stock = runs(phone)
    before = asked(phone)
    answer(phone, stock, '{"stock":1}')
    phone.after(500)
    assert asked(phone) == before
    answer(phone, price)
    phone.after(4_000)
    assert outputs(phone) == ['{"stock":1}', '{"price":3}']
    assert (asked(phone), ends(phone)) == (before + 1, ["ok", "ok"])


def test_a_tool_that_nobody_knows_is_refused_at_once(make_call: Callable[..., Phone]) -> None:
    phone = make_call(script=["weather"])
    phone.after(3_000)
    assert runs(phone) == []
    assert outputs(phone) == ['{"error":"There is no tool of this name."}']
    assert (asked(phone), ends(phone)) == (2, ["failed"])
    assert phone.told(TurnEnded)[-1].role == "agent"


def test_a_tool_that_is_not_offered_is_refused_with_the_reason(make_call: Callable[..., Phone]) -> None:
    reason = "This tool is not available: the agent's `voicemail_enabled` is off."
    phone = make_call(plan=changed(PLAN, unavailable_tools={"weather": reason}), script=["weather"])
    phone.after(3_000)
    assert outputs(phone) == [json.dumps({"error": reason}, separators=(",", ":"))]
    assert ends(phone) == ["failed"] and phone.told(ToolFinished)[0].output_json == outputs(phone)[0]


def test_the_same_call_twice_is_run_once(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    (run,) = runs(phone)
    event = {"response_id": "r", "item_id": "i", "call_id": run.tool_call_id, "name": "price", "arguments": "{}"}
    phone.model.emit("response.function_call_arguments.done", **event)
    phone.after(100)
    assert runs(phone) == [run]
    assert len(phone.told(ToolCalled)) == 1


def speaks_and_calls(phone: Phone, name: str) -> None:
    """The next response speaks for 2 s and calls a tool; run until both are done."""
    phone.model.player.turns = [Turn(say="words", call=FunctionCall(name), calls_first=True)]


def test_who_interrupts_the_response_that_called_is_not_spoken_to_of_its_result(
    make_call: Callable[..., Phone],
) -> None:
    phone = make_call(script=(), answer_ms=6_000)
    phone.after(8_000)
    speaks_and_calls(phone, "price")
    phone.speak(500)
    phone.after(2_000)
    (run,) = runs(phone)
    phone.speak(900, seed=5)  # while the response is still being generated
    phone.after(600)
    assert "response.cancel" in phone.model.types()
    phone.after(9_000)  # the caller's new turn is answered; then the result comes
    before = asked(phone)
    answer(phone, run)
    phone.after(3_000)
    assert asked(phone) == before, "that result is no longer awaited"


def test_its_output_still_makes_the_models_conversation_whole(make_call: Callable[..., Phone]) -> None:
    phone = make_call(script=(), answer_ms=6_000)
    phone.after(8_000)
    speaks_and_calls(phone, "stock")
    phone.speak(500)
    phone.after(2_000)
    phone.speak(900, seed=5)
    phone.after(1_500)
    (run,) = runs(phone)
    answer(phone, run, '{"stock":2}')
    phone.after(100)
    assert outputs(phone) == ['{"stock":2}']
    assert ends(phone) == ["ok"]
    assert phone.model.violations == []


def test_a_call_that_arrives_after_its_response_was_cancelled_is_not_run(
    make_call: Callable[..., Phone],
) -> None:
    phone = make_call(script=(), answer_ms=6_000)
    phone.speak(900, seed=5)  # over the answer
    phone.after(700)
    assert "response.cancel" in phone.model.types()
    cancelled = [m["response_id"] for m in phone.model.received if m["type"] == "response.cancel"]
    assert isinstance(phone.talk._model, TurnSide)
    phone.talk._model.replies._cancelled.add(cancelled[0])
    event = {"response_id": cancelled[0], "item_id": "i", "call_id": "c", "name": "price", "arguments": "{}"}
    phone.model.emit("response.function_call_arguments.done", **event)
    phone.after(200)
    assert runs(phone) == []
    assert outputs(phone) == ['{"error":"The caller interrupted; the tool was not run."}']
    assert ends(phone) == ["failed"]


def test_a_session_that_is_lost_meanwhile_hands_its_tool_on_in_words(make_call: Callable[..., Phone]) -> None:
    phone = make_call(PLAN)
    (run,) = runs(phone)
    phone.model.open = False
    phone.carry(phone.talk.model_lost(phone.world.now, "closed"))
    phone.after(1_000)
    answer(phone, run)
    phone.after(6_000)
    texts = [m["item"]["content"][0]["text"] for m in phone.model.received if m.get("item", {}).get("role") == "system"]
    assert texts == ['The tool price, called before, has returned: {"price":3}']
    assert outputs(phone) == [], "the new session has called nothing"
    assert ends(phone) == ["ok"]
    assert phone.told(TurnEnded)[-1].role == "agent"


TOLD = 'The tool price, called before, has returned: {"price":3}'


@pytest.mark.parametrize("stands", [False, True], ids=["never confirmed", "confirmed"])
def test_each_session_after_the_one_that_called_is_told_the_result(
    make_call: Callable[..., Phone], stands: bool
) -> None:
    phone = make_call(PLAN)
    (run,) = runs(phone)
    phone.lose()
    answer(phone, run)  # while there is no session
    phone.fate = "" if stands else "closes"
    phone.after(600)
    if stands:
        phone.lose()
    else:
        assert phone.told(ModelLost)[-1].reason == "closed 1000"
    phone.fate = ""
    phone.model.received.clear()
    phone.after(8_000)
    assert phone.model.types().count("session.update") == 1
    texts = [m["item"]["content"][0]["text"] for m in phone.model.received if m.get("item", {}).get("role") == "system"]
    assert texts.count(TOLD) == 1, "else the agent may do it twice"
    assert ends(phone) == ["ok"]


def test_a_long_result_is_told_whole(make_call: Callable[..., Phone]) -> None:
    phone = make_call(PLAN)
    (run,) = runs(phone)
    phone.lose()
    answer(phone, run, '{"price":"%s"}' % ("3" * 5_000))
    phone.after(2_000)
    texts = [m["item"]["content"][0]["text"] for m in phone.model.received if m.get("item", {}).get("role") == "system"]
    assert len(texts) == 1 and len(texts[0]) > 5_000 and texts[0].startswith("The tool price")


def test_a_call_that_ends_first_ends_its_tools(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    (run,) = runs(phone)
    phone.carrier.stop()
    phone.after(200)
    assert ends(phone) == ["failed"]
    assert phone.talk.tool_result(run.tool_call_id, "{}", "ok", phone.world.now) == []


def test_a_tool_with_an_outcome_is_carried_out_by_the_call(make_call: Callable[..., Phone]) -> None:
    phone = make_call(changed(PLAN, prompts={PromptKind.GOODBYE: Prompt("Bye", bytes(800))}), script=["end_call"])
    phone.after(2_000)
    assert phone.hung_up == HangUp("agent")
    assert (runs(phone), ends(phone)) == ([], ["ok"])
    assert phone.carrier.heard(phone.world.now) == bytes(800)


def test_a_result_with_an_outcome_moves_the_call_on_once_its_last_words_were_heard(
    make_call: Callable[..., Phone],
) -> None:
    phone = make_call(changed(PLAN, prompts={PromptKind.HOLD: Prompt("One moment", bytes(800))}))
    (run,) = runs(phone)
    asked = sum(m["type"] == "response.create" for m in phone.model.received)
    phone.carry(phone.talk.tool_result(run.tool_call_id, "{}", "ok", phone.world.now, MoveOn("transfer")))
    not_yet = phone.hung_up
    assert not_yet is None, "nothing was heard yet"
    phone.after(2_000)
    assert phone.hung_up == MoveOn("transfer")
    assert phone.told(CallEnded)[-1].reason == "transfer"
    assert phone.carrier.heard(phone.world.now) == bytes(800)
    assert ends(phone) == ["ok"]
    assert sum(m["type"] == "response.create" for m in phone.model.received) == asked, "the model is asked no more"


def test_a_caller_who_speaks_does_not_undo_what_a_tool_has_arranged(make_call: Callable[..., Phone]) -> None:
    phone = make_call()
    (run,) = runs(phone)
    phone.speak(900)
    phone.carry(phone.talk.tool_result(run.tool_call_id, "{}", "ok", phone.world.now, MoveOn("transfer")))
    phone.after(2_000)
    assert phone.hung_up == MoveOn("transfer")


def test_control_moves_the_call_on(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={PromptKind.HOLD: Prompt("One moment", bytes(800))}))
    phone.after(1_000)
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c1"), phone.world.now))
    assert phone.told(CommandReply) == [CommandReply("c1", "done")], (
        "at once, though the last words are still to be heard"
    )
    not_yet = phone.hung_up
    assert not_yet is None, "nothing was heard yet"
    phone.after(1_000)
    assert phone.hung_up == MoveOn("transfer")
    assert phone.carrier.heard(phone.world.now) == bytes(800)
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c2"), phone.world.now))
    assert phone.told(CommandReply)[-1] == CommandReply("c2", "done"), "it is left for whatever control has stored"


def test_a_call_that_says_goodbye_already_is_moved_nowhere(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={PromptKind.GOODBYE: Prompt("Bye", bytes(8_000))}))
    phone.after(1_000)
    phone.carry(phone.talk.command(EndCall("drained", spoken=True), phone.world.now))
    phone.after(200)
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c1"), phone.world.now))
    phone.after(3_000)
    phone.carry(phone.talk.command(LeaveStream(MoveOn("transfer"), "c2"), phone.world.now))
    assert phone.told(CommandReply) == [CommandReply("c1", "over"), CommandReply("c2", "over")]
    assert phone.hung_up == HangUp("drained")


def test_a_filler_covers_the_wait(make_call: Callable[..., Phone]) -> None:
    phone = make_call(changed(PLAN, fillers=(Prompt("Let me see", FILLER),)))
    phone.after(2_000)
    assert phone.carrier.heard(phone.world.now) == FILLER


@pytest.mark.parametrize("parameters", ["", "[]", "{", "1"])
def test_parameters_are_an_object(parameters: str) -> None:
    with pytest.raises(ValueError):
        Tool("f", "", parameters, 1_000)


def test_a_tool_that_is_run_elsewhere_has_a_time_limit_and_a_name_of_its_own() -> None:
    with pytest.raises(ValueError):
        Tool("f", "", SCHEMA)
    with pytest.raises(ValueError):
        changed(PLAN, tools=(PRICE, PRICE))
