"""Calls with a model that hears and speaks at once."""

import json
from collections.abc import Callable
from random import Random

import pytest

from media.core import delegations
from media.core.commands import Inform, Instruct, Machine, Say, Sequel, SwitchFlow
from media.core.delegations import COVERED
from media.core.duplexsession import DONE, HEARD_OF_IT
from media.core.legmessages import Clear, HangUp
from media.core.modelmessages import (
    CallModel,
    CommandRefused,
    DuplexModel,
    ItemEnded,
    MalformedEvent,
    ModelEvent,
    ModelUsed,
    ResponseBegan,
    SessionBegun,
    SessionOver,
    SessionUsed,
    StreamAudio,
    StreamWords,
    TaskDelegated,
    Tool,
    TurnModel,
)
from media.core.plans import Prompt, PromptKind
from media.core.runningtools import GOES_ON, TIMED_OUT
from media.core.session import BROKE_OFF
from media.core.types import LatencyMeasured, ModelLost, RunTool, ToolCalled, ToolFinished, TurnEnded
from sandbox.openai.settings import LiveFaults
from tests.media.core.duplex import BARE, GREETED, LivePhone
from tests.support.plans import changed
from tests.support.simulation import World, calls

DELEGATE = changed(BARE, tools=(Tool("delegate", "", "{}", 20_000),))


def said_by_caller(phone: LivePhone, ms: int = 1_000) -> None:
    phone.after(1_000)
    phone.speak(ms)


def test_the_model_hears_the_caller_and_is_heard(world: World) -> None:
    phone = LivePhone(world, answer_ms=2_000)
    said_by_caller(phone)
    phone.after(8_000)
    assert phone.live.refusals == []
    caller, agent = phone.turns()
    assert (caller.role, caller.text) == ("caller", "text of user_1")
    assert agent.heard_text == agent.text == " ".join(f"word{n}" for n in range(20))
    assert agent.end_ms - agent.start_ms == pytest.approx(2_000, abs=5)
    (latency,) = phone.told(LatencyMeasured)
    assert latency.total_ms == pytest.approx(agent.start_ms - 2_000, abs=100)


def test_nothing_is_appended_while_the_caller_hears_the_greeting(world: World) -> None:
    phone = LivePhone(world, GREETED)
    phone.after(1_500)
    assert (
        phone.live.of("session.start")[0]["session"]["input"][0]["content"][0]["text"]
        == "Hello and welcome to the shop"
    )
    assert phone.live.of("session.input_audio.append") == []
    phone.after(2_000)
    assert phone.live.of("session.input_audio.append")
    assert phone.live.told("thinking") == []
    assert phone.turns()[0].heard_text == "Hello and welcome to the shop"


def test_a_greeting_that_is_cut_is_told_and_the_words_over_it_are_heard(world: World) -> None:
    phone = LivePhone(world, GREETED)
    phone.after(1_200)
    phone.speak(900)
    phone.after(8_000)
    (told,) = phone.live.told("thinking")
    greeting, caller, agent = phone.turns()
    assert greeting.interrupted and greeting.heard_text
    assert told == HEARD_OF_IT + greeting.heard_text
    assert (caller.role, agent.role) == ("caller", "agent")


def test_the_model_falls_silent_by_itself_and_nothing_is_cleared(world: World) -> None:
    phone = LivePhone(world, answer_ms=8_000)
    said_by_caller(phone)
    phone.after(4_000)
    phone.actions.clear()
    phone.speak(1_500)
    began = phone.world.now
    phone.after(8_000)
    assert not any(isinstance(action, Clear) for _, action in phone.actions)
    interrupted = next(turn for turn in phone.turns() if turn.role == "agent")
    sentence = phone.live.live.sentences[0]
    assert sentence.was_cut
    assert interrupted.heard_text == sentence.sent_text
    last_ms = max(at for at, audio in phone.carrier.played[:1])
    assert last_ms < began


def test_an_end_in_mid_utterance_leaves_what_the_phone_has_played(world: World) -> None:
    for after_ms in range(300, 2_300, 170):
        phone = LivePhone(World(), answer_ms=6_000, jitter=30)
        said_by_caller(phone)
        phone.after(1_600)
        phone.after(after_ms)
        heard = phone.carrier.heard_bytes(phone.world.now - 40) // 800  # a word lasts for 100 ms
        phone.carry(phone.talk.leg_gone(phone.world.now, HangUp("caller")))
        words = [turn.heard_text.split() for turn in phone.told(TurnEnded) if turn.role == "agent"]
        assert abs((len(words[0]) if words else 0) - heard) <= 2


@pytest.mark.parametrize("jitter", [0, 50, 150])
def test_a_late_stream_is_never_stretched(world: World, jitter: float) -> None:
    phone = LivePhone(world, answer_ms=10_000, jitter=0, model_jitter=jitter)
    said_by_caller(phone)
    phone.after(14_000)
    agent = next(turn for turn in phone.turns() if turn.role == "agent")
    assert agent.heard_text == agent.text
    assert agent.end_ms - agent.start_ms <= 10_000 + jitter
    assert sum(len(audio) for _, audio in phone.carrier.played) == 80_000


def test_a_task_is_run_with_what_was_said_and_its_answer_is_said(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=600)
    phone.live.answers(calls("book"))
    said_by_caller(phone)
    phone.after(3_500)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    assert run.name == "delegate"
    assert {"role": "caller", "text": "text of user_1"} in json.loads(run.arguments_json)["turns"]
    phone.carry(phone.talk.tool_result(run.tool_call_id, '{"say":"You are booked."}', "ok", world.now))
    phone.after(3_000)
    (delegated,) = phone.live.live.delegations.values()
    assert [(each.kind, each.content) for each in delegated.answers] == [("commentary", "You are booked.")]
    assert phone.live.live.sentences[-1].text == "You are booked."
    assert phone.live.refusals == []


def test_a_task_that_nobody_does_is_answered_too(world: World) -> None:
    phone = LivePhone(world)
    phone.live.answers(calls("book"))
    said_by_caller(phone)
    phone.after(4_000)
    (delegated,) = phone.live.live.delegations.values()
    assert [each.kind for each in delegated.answers] == ["commentary"]
    assert [finished.status for finished in phone.told(ToolFinished)] == ["failed"]


def test_the_call_ends_with_the_last_byte_of_the_farewell(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=1_500)
    phone.live.answers(calls("end_call"))
    said_by_caller(phone)
    phone.after(5_000)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    phone.carry(phone.talk.tool_result(run.tool_call_id, '{"say":"Bye."}', "ok", world.now, HangUp("agent")))
    phone.after(6_000)
    assert phone.hung_up == HangUp("agent")
    assert phone.turns()[-1].heard_text == phone.turns()[-1].text
    assert not phone.turns()[-1].interrupted
    assert phone.live.of("session.close")


def test_a_lost_session_is_followed_by_one_that_knows_what_was_heard(world: World) -> None:
    phone = LivePhone(world, answer_ms=4_000)
    said_by_caller(phone)
    phone.after(3_000)
    phone.lose()
    phone.after(6_000)
    _, second = phone.live.of("session.start")
    heard = next(turn.heard_text for turn in phone.turns() if turn.role == "agent")
    assert [(each["role"], each["content"][0]["text"]) for each in second["session"]["input"]] == [
        ("user", "text of user_1"),
        ("assistant", heard),
    ]
    assert phone.live.told("commentary") == [BROKE_OFF]
    assert len(phone.told(ModelLost)) == 1


def test_a_session_that_expires_is_no_loss(world: World) -> None:
    phone = LivePhone(world)
    phone.after(2_000)
    phone.live.expire()
    phone.after(2_000)
    assert len(phone.live.of("session.start")) == 2
    assert phone.told(ModelLost) == []


def test_a_session_that_never_starts_ends_with_the_apology(world: World) -> None:
    phone = LivePhone(world, faults=LiveFaults(never_starts=True))
    phone.after(30_000)
    assert isinstance(phone.hung_up, HangUp) and phone.hung_up.reason == "model_lost"


def test_time_is_metered_to_the_end(world: World) -> None:
    phone = LivePhone(world, usage_seconds=5)
    phone.after(12_345)
    phone.carry(phone.talk.leg_gone(world.now, HangUp("caller")))
    used = phone.told(ModelUsed)
    assert {each.model for each in used} == {"gpt-live-1.1"}
    assert sum(each.session_ms for each in used) == pytest.approx(phone.live.live.seconds * 1000, abs=5_500)
    assert len(used) == 3


def test_people_and_facts_reach_the_model(world: World) -> None:
    phone = LivePhone(world)
    phone.after(1_000)
    for command in (
        Instruct("i", "Offer ten percent.", "Ann"),
        Say("s", "We close now.", "Ann"),
        Inform("c", "Name: Bo"),
    ):
        phone.carry(phone.talk.command(command, world.now))
    phone.carrier.dtmf("4")
    phone.after(5_000)
    assert any("Offer ten percent." in each for each in phone.live.told("thinking"))
    assert any("We close now." in each for each in phone.live.told("commentary"))
    assert any("Name: Bo" in each for each in phone.live.told("instructions"))
    assert any("4" in each for each in phone.live.told("thinking"))
    assert phone.live.refusals == []


def test_silence_stands_in_for_frames_that_do_not_come(world: World) -> None:
    phone = LivePhone(world, answer_ms=3_000)
    said_by_caller(phone)
    phone.after(1_500)
    phone.silent_line = True
    phone.after(5_000)
    agent = next(turn for turn in phone.turns() if turn.role == "agent")
    assert agent.heard_text.endswith("word29")


@pytest.mark.parametrize(
    "successor", [DuplexModel("gpt-live-1", "cedar"), TurnModel("gpt-realtime", "marin", "whisper")]
)
def test_another_agent_speaks_with_a_model_of_the_calls_kind(world: World, successor: CallModel) -> None:
    phone = LivePhone(world)
    phone.after(2_000)
    phone.carry(
        phone.talk.command(SwitchFlow(changed(BARE, model=successor, instructions="Be brief."), "f", 2), world.now)
    )
    phone.after(4_000)
    _, session = (each["session"] for each in phone.live.of("session.start"))
    assert session["instructions"] == "Be brief."
    assert session["model"] == ("gpt-live-1" if isinstance(successor, DuplexModel) else "gpt-live-1.1")
    assert phone.live.refusals == []


def test_a_machine_gets_its_message_and_the_model_hears_nothing_of_it(world: World) -> None:
    message = Prompt("Please call us back", bytes(range(1, 251)) * 64)
    phone = LivePhone(world, changed(BARE, prompts={PromptKind.MACHINE: message}), answer_ms=6_000)
    said_by_caller(phone)
    phone.after(3_000)
    phone.carry(phone.talk.command(Machine("machine", message=True), world.now))
    phone.after(6_000)
    assert phone.hung_up == HangUp("machine")
    assert phone.turns()[-1].heard_text == "Please call us back"


@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(30))
def test_events_in_any_order_break_nothing(seed: int) -> None:
    random, world = Random(seed), World()
    phone = LivePhone(world, changed(GREETED, tools=DELEGATE.agent.tools))
    events: list[ModelEvent] = [
        SessionBegun(),
        StreamAudio(b"\x10" * 800),
        StreamAudio(b"\xff" * 800),
        StreamAudio(b""),
        StreamWords("agent", " a", 0, 200),
        StreamWords("agent", " b", 1 << 40, 0),
        StreamWords("caller", " c", 5_000, 100),
        TaskDelegated("d", 0),
        SessionUsed(5_000),
        SessionUsed(0),
        SessionOver("expired"),
        SessionOver("content", 1_000),
        CommandRefused(None),
        MalformedEvent(),
        ResponseBegan("r"),
        ItemEnded("utterance_1"),
    ]
    acts: list[Callable[[], object]] = [
        lambda: phone.speak(random.randrange(20, 900)),
        lambda: phone.carrier.dtmf("1"),
        phone.lose,
        lambda: phone.carry(phone.talk.tool_result("d", '{"say":"Done."}', "ok", world.now)),
        lambda: phone.carry(phone.talk.command(Say("s", "Hello.", "Ann"), world.now)),
        lambda: phone.carry(phone.talk.redial(world.now)),
    ]
    for _ in range(300):
        phone.after(random.choice((0, 7, 60, 400)))
        if random.random() < 0.9:
            phone.carry(phone.talk.from_model(random.choice(events), world.now))
        else:
            random.choice(acts)()
    phone.carry(phone.talk.leg_gone(world.now, HangUp("caller")))
    assert phone.hung_up is not None
    assert all(turn.text.startswith(turn.heard_text) for turn in phone.turns() if turn.role == "agent")
    called, finished = phone.told(ToolCalled), phone.told(ToolFinished)
    assert [each.tool_call_id for each in called] == [each.tool_call_id for each in finished]


# Tasks.


def runs(phone: LivePhone) -> list[RunTool]:
    return [action for _, action in phone.actions if isinstance(action, RunTool)]


def done(phone: LivePhone, run: RunTool, words: str, sequel: Sequel | None = None) -> None:
    """Let the task have led to these words."""
    phone.carry(phone.talk.tool_result(run.tool_call_id, json.dumps({"say": words}), "ok", phone.world.now, sequel))


def test_tasks_run_one_at_a_time_and_what_a_newer_one_makes_stale_is_told_quietly(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=400)
    phone.live.answers(calls("book"), calls("ask"), calls("move"))
    for _ in range(3):
        said_by_caller(phone)
        phone.after(2_500)
    (first,) = runs(phone)
    done(phone, first, "You are booked.")
    phone.after(2_000)
    _, second = runs(phone)
    assert [turn["text"] for turn in json.loads(second.arguments_json)["turns"] if turn["role"] == "caller"] == [
        "text of user_1",
        "text of user_2",
        "text of user_3",
    ]
    done(phone, second, "We close at five, and you are moved.")
    phone.after(2_000)
    answers = [[(each.kind, each.content) for each in task.answers] for task in phone.live.live.delegations.values()]
    assert answers[0] == [("thinking", delegations.GOES_ON), ("thinking", DONE + "You are booked.")]
    assert answers[1] == [("thinking", COVERED)]
    assert answers[2] == [("commentary", "We close at five, and you are moved.")]
    assert phone.live.refusals == []


def test_a_task_that_takes_long_is_told_to_go_on_once_and_ends_with_an_apology(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=400)
    phone.live.answers(calls("book"))
    said_by_caller(phone)
    phone.after(25_000)
    (task,) = phone.live.live.delegations.values()
    assert [each.kind for each in task.answers] == ["thinking", "commentary"]
    assert TIMED_OUT in task.answers[1].content
    done(phone, runs(phone)[0], "Too late.")
    phone.after(1_000)
    assert "Too late." not in phone.live.told("commentary")


def test_a_lost_sessions_task_goes_on_and_the_next_session_is_told_what_came_of_it(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=400)
    phone.live.answers(calls("book"))
    said_by_caller(phone)
    phone.after(3_500)
    (run,) = runs(phone)
    phone.lose()
    phone.after(1_000)
    done(phone, run, "You are booked.")
    phone.after(2_000)
    assert any("You are booked." in text for text in phone.live.told("thinking"))
    assert runs(phone) == [run]
    assert phone.live.refusals == []


def test_a_task_that_waits_as_its_session_is_lost_is_run(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=400, words_late_ms=5_000)
    phone.live.answers(calls("book"))
    said_by_caller(phone)
    while not phone.live.live.delegations:
        phone.after(20)
    phone.after(50)
    assert runs(phone) == []
    phone.lose()
    assert len(runs(phone)) == 1


def test_an_end_without_words_is_silent(world: World) -> None:
    goodbye = Prompt("Goodbye from a clip", bytes(range(1, 251)) * 32)
    phone = LivePhone(world, changed(DELEGATE, prompts={PromptKind.GOODBYE: goodbye}), answer_ms=1_500)
    phone.live.answers(calls("end_call"))
    said_by_caller(phone)
    phone.after(5_000)
    done(phone, runs(phone)[0], "", HangUp("agent"))
    phone.after(4_000)
    assert phone.hung_up == HangUp("agent")
    assert phone.live.told("commentary") == []
    assert "clip" not in phone.turns()[-1].text


def test_a_caller_who_speaks_over_the_farewell_keeps_the_call(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=3_000)
    phone.live.answers(calls("end_call"))
    said_by_caller(phone)
    phone.after(5_000)
    (run,) = runs(phone)
    done(phone, run, "Bye.", HangUp("agent"))
    while not phone.live.live.sentences[-1].text.endswith("Bye."):
        phone.after(20)
    phone.after(500)
    phone.speak(800)
    phone.after(10_000)
    assert phone.hung_up is None
    assert phone.live.told("thinking")[-1] == GOES_ON
    assert [finished.status for finished in phone.told(ToolFinished)] == ["failed"]


def test_an_agent_for_another_kind_of_model_leaves_its_tasks_to_us_as_well(world: World) -> None:
    phone = LivePhone(world, DELEGATE, answer_ms=400)
    phone.live.answers(calls("move"), calls("book"))
    said_by_caller(phone)
    phone.after(3_000)
    other = changed(BARE, model=TurnModel("gpt-realtime", "marin", "whisper-1"), tools=(Tool("book", "", "{}", 1_000),))
    done(phone, runs(phone)[0], "One moment.", SwitchFlow(other, "f2", 1))
    phone.after(5_000)
    said_by_caller(phone)
    phone.after(4_000)
    assert [run.name for run in runs(phone)] == ["delegate", "delegate"]
