"""People who follow a call tell its agent what to do and what to say: once each, in order, whatever becomes of the model."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import pytest

from media.core.commands import Command, DecisionResult, EndCall, Inform, Instruct, Listen, Say
from media.core.legmessages import Play
from media.core.supervision import MOST, MOST_WAITING, hint
from media.core.types import (
    BargedIn,
    CommandReply,
    Intervened,
    RecordAgent,
    RecordCaller,
    StartRecording,
    TurnEnded,
    UnderWay,
)
from tests.media.core.test_model_faults import BARE, PLAN
from tests.support.plans import changed
from tests.support.simulation import Phone

Told = TypeVar("Told")


def tell(phone: Phone, command: Command) -> None:
    phone.carry(phone.talk.command(command, phone.world.now))


def instruct(phone: Phone, text: str, id: str = "1") -> None:
    tell(phone, Instruct(id, text, "Ada"))


def say(phone: Phone, text: str, id: str = "1") -> None:
    tell(phone, Say(id, text, "Ada"))


def outcomes(phone: Phone) -> list[str]:
    return [each.outcome for each in phone.told(CommandReply)]


def created(phone: Phone) -> list[tuple[str, str]]:
    """What each session was told besides the audio, in order: (role, text), and the text of each response that was asked for."""
    found = []
    for each in phone.model.received:
        if each["type"] == "conversation.item.create" and each["item"]["type"] == "message":
            found.append((each["item"]["role"], each["item"]["content"][0]["text"]))
        elif each["type"] == "response.create":
            found.append(("asked", each.get("response", {}).get("instructions", "").split("\n")[-1]))
        elif each["type"] == "session.update":
            found.append(("session", ""))
    return found


# What the agent is told.


def test_a_hint_reaches_the_model_before_its_next_answer_and_cuts_nothing(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=3_000)
    phone.after(1_000)
    phone.speak(800)
    phone.after(2_500)
    assert phone.talk._voice.playout.audible(phone.world.now), "the agent is speaking"
    instruct(phone, "Offer her a visit on Tuesday")
    phone.after(4_000)
    phone.speak(800)
    phone.after(6_000)
    assert created(phone) == [
        ("session", ""),
        ("asked", ""),
        ("system", hint("Offer her a visit on Tuesday")),
        ("asked", ""),
    ]
    first, second = phone.model.items.values()
    assert phone.carrier.heard(phone.world.now) == first + second
    (told,) = phone.told(Intervened)
    assert (told.id, told.kind, told.text, told.by) == ("1", "instruct", "Offer her a visit on Tuesday", "Ada")
    turns = phone.told(TurnEnded)
    assert [turn.seq for turn in turns] == [1, 2, 3, 4], "a hint is no turn"
    assert turns[1].start_ms < told.at_ms < turns[2].start_ms
    assert outcomes(phone) == ["done"]
    assert phone.model.violations == []


def test_a_hint_alone_makes_nobody_speak(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    instruct(phone, "Be brief")
    phone.after(3_000)
    assert created(phone) == [("session", ""), ("system", hint("Be brief"))]
    assert phone.carrier.heard(phone.world.now) == b""


def test_the_next_session_gets_each_hint_in_its_place(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    instruct(phone, "first", "1")
    phone.speak(800)
    phone.after(4_000)
    instruct(phone, "second", "2")
    phone.speak(800)
    phone.after(4_000)
    phone.lose()
    instruct(phone, "third", "3")  # while there is no session
    phone.after(2_000)
    turns = [(turn.role, turn.heard_text) for turn in phone.told(TurnEnded)]
    assert [role for role, _ in turns] == ["caller", "agent", "caller", "agent"]
    again = created(phone)[[place for place, each in enumerate(created(phone)) if each[0] == "session"][1] + 1 :]
    names = {"caller": "user", "agent": "assistant"}
    (c1, a1, c2, a2) = [(names[role], text) for role, text in turns]
    system = [("system", hint(each)) for each in ("first", "second", "third")]
    assert again[:7] == [system[0], c1, a1, system[1], c2, a2, system[2]]
    instruct(phone, "fourth", "4")
    phone.after(100)
    assert created(phone)[-1] == ("system", hint("fourth"))
    assert [each.text for each in phone.told(Intervened)] == ["first", "second", "third", "fourth"]


def test_a_call_that_goes_on_in_another_process_knows_its_hints(make_phone: Callable[..., Phone]) -> None:
    history: tuple[tuple[Literal["caller", "agent", "system"], str], ...] = (
        ("agent", "Hello"),
        ("system", hint("Be brief")),
        ("caller", "When do you open?"),
    )
    phone = make_phone(changed(PLAN, history=history))
    phone.after(2_000)
    texts = [each for each in created(phone) if each[0] in ("assistant", "user", "system")]
    assert texts[:3] == [("assistant", "Hello"), ("system", hint("Be brief")), ("user", "When do you open?")]


def test_unfinished_turns_are_numbered_without_hints(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=4_000)
    phone.after(1_000)
    phone.model.faults.never_transcribe = True
    phone.speak(600)
    phone.after(200)
    instruct(phone, "Be brief")
    phone.after(2_500)
    under_way = phone.told(UnderWay)[-1].turns
    assert [turn.role for turn in under_way] == ["agent"]
    assert under_way[0].seq == 2, "after the caller's, which has no text yet"


# What the agent is to say.


def test_what_a_person_dictates_is_said_after_what_is_being_said(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=2_000)
    phone.after(1_000)
    phone.speak(800)
    phone.after(2_000)
    say(phone, "We close early today", "1")
    say(phone, "And on Friday", "2")
    phone.after(12_000)
    assert created(phone) == [
        ("session", ""),
        ("asked", ""),
        ("asked", "We close early today"),
        ("asked", "And on Friday"),
    ]
    assert phone.carrier.heard(phone.world.now) == b"".join(phone.model.items.values())
    assert [turn.role for turn in phone.told(TurnEnded)] == ["caller", "agent", "agent", "agent"]
    assert [each.kind for each in phone.told(Intervened)] == ["say", "say"]
    assert phone.model.violations == []


def test_it_waits_for_the_caller_and_the_caller_is_answered_then(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    phone.speak(2_000)
    phone.after(1_000)
    say(phone, "One moment please")
    phone.after(900)
    assert [each for each in created(phone) if each[0] == "asked"] == []
    phone.after(8_000)
    assert [each for each in created(phone) if each[0] == "asked"] == [("asked", "One moment please"), ("asked", "")]


@pytest.mark.parametrize("lost_after_ms", [150, 500, 1_500])
def test_it_is_said_whatever_becomes_of_the_session(make_phone: Callable[..., Phone], lost_after_ms: int) -> None:
    phone = make_phone(BARE, answer_ms=2_000)
    phone.after(1_000)
    say(phone, "We close early today")
    phone.after(lost_after_ms)
    phone.lose()
    phone.after(8_000)
    asked = [each for each in created(phone) if each[0] == "asked"]
    assert asked[-1] == ("asked", "We close early today")
    assert phone.told(TurnEnded)[-1].role == "agent"


def test_a_caller_who_spoke_into_its_beginning_hears_it_again(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=3_000, delay=40)
    phone.after(1_000)
    say(phone, "We close early today")
    before = len([each for _, each in phone.actions if isinstance(each, Play)])
    while len([each for _, each in phone.actions if isinstance(each, Play)]) == before:
        phone.after(20)
    phone.speak(1_500)  # they could not hear it yet
    phone.after(12_000)
    asked = [text for kind, text in created(phone) if kind == "asked"]
    assert asked.count("We close early today") == 2
    assert "" in asked, "and they are answered, too"
    assert phone.told(BargedIn) == []


def test_a_caller_who_interrupts_it_has_heard_a_part_and_hears_no_more_of_it(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=4_000)
    phone.after(1_000)
    say(phone, "We close early today")
    phone.after(2_500)
    phone.speak(1_500)
    phone.after(10_000)
    assert [text for kind, text in created(phone) if kind == "asked"] == ["We close early today", ""]
    cut = phone.told(TurnEnded)[0]
    assert cut.interrupted
    assert cut.heard_text != cut.text


def test_a_model_that_fails_is_asked_three_times_in_all(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    voice: Any = phone.model.voice
    voice.utter = lambda _text, _voice, _codec, then: then(RuntimeError("no voice"))
    say(phone, "We close early today")
    phone.after(5_000)
    assert [text for kind, text in created(phone) if kind == "asked"].count("We close early today") == 3


def test_a_text_that_fails_once_is_said_and_no_answer_follows(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    voice: Any = phone.model.voice
    utter = voice.utter

    def fail_once(_text: Any, _voice: Any, _codec: Any, then: Any) -> None:
        voice.utter = utter
        then(RuntimeError("no voice"))

    voice.utter = fail_once
    say(phone, "We close early today")
    phone.after(8_000)
    assert [text for kind, text in created(phone) if kind == "asked"] == ["We close early today"] * 2
    assert [turn.role for turn in phone.told(TurnEnded)] == ["agent"]


# Limits, repetitions, the end.


def test_the_same_again_is_done_once(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    for _ in range(3):
        instruct(phone, "Be brief", "a")
        say(phone, "Hello", "b")
    phone.after(8_000)
    assert outcomes(phone) == ["done"] * 6
    assert len(phone.told(Intervened)) == 2
    assert created(phone) == [("session", ""), ("system", hint("Be brief")), ("asked", "Hello")]


def test_there_is_room_for_so_many(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=500)
    phone.after(100)  # there is no session yet
    for number in range(MOST_WAITING + 1):
        say(phone, "text", f"s{number}")
    assert outcomes(phone) == ["done"] * MOST_WAITING + ["full"]
    phone.after(20_000)
    say(phone, "text", f"s{MOST_WAITING}")
    assert outcomes(phone)[-1] == "done", "what was refused may be tried again"
    for number in range(MOST):
        instruct(phone, "text", f"i{number}")
    assert outcomes(phone).count("done") == MOST
    assert outcomes(phone)[-1] == "full"


def test_a_call_that_is_ending_takes_nothing_more(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    tell(phone, Instruct("0", "too early", "Ada"))
    phone.after(3_000)
    say(phone, "last words", "1")
    tell(phone, EndCall("agent", spoken=True))
    say(phone, "too late", "2")
    phone.after(15_000)
    instruct(phone, "far too late", "3")
    assert outcomes(phone) == ["over", "done", "over", "over"]
    assert ("asked", "last words") in created(phone), "what was accepted is said before the call ends"
    assert phone.hung_up is not None
    assert phone.hung_up.reason == "agent"


# What waited for a person.


DECISION = "What became of your wish: it was done."


def test_what_became_of_an_approval_is_told_to_the_caller_once_the_agent_has_the_floor(
    make_phone: Callable[..., Phone],
) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    tell(phone, DecisionResult("1", DECISION))
    tell(phone, DecisionResult("1", DECISION))  # nobody knew whether it had come
    phone.after(5_000)
    assert created(phone) == [("session", ""), ("system", DECISION), ("asked", "")], "nobody had to ask for it"
    assert outcomes(phone) == ["done", "done"]
    (report,) = phone.told(Intervened)
    assert (report.id, report.kind, report.text) == ("1", "news", DECISION)


def test_an_agent_that_speaks_is_not_cut_off_by_news_and_tells_them_next(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=3_000)
    phone.after(1_000)
    phone.speak(800)
    phone.after(2_500)
    assert phone.talk._voice.playout.audible(phone.world.now), "the agent is speaking"
    tell(phone, DecisionResult("1", DECISION))
    phone.after(12_000)
    assert created(phone) == [("session", ""), ("asked", ""), ("system", DECISION), ("asked", "")]
    first, second = phone.model.items.values()
    assert phone.carrier.heard(phone.world.now) == first + second


def test_news_that_come_while_the_model_is_away_are_told_by_the_next_session(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_000)
    phone.after(1_000)
    phone.lose()
    tell(phone, DecisionResult("1", DECISION))
    phone.after(6_000)
    again = created(phone)[1:]
    assert again == [("session", ""), ("system", DECISION), ("asked", "")]


# Who listens.


def sounds(phone: Phone, kind: type[Told]) -> list[Told]:
    return [each for _, each in phone.actions if isinstance(each, kind)]


def test_nothing_is_copied_for_a_call_to_which_nobody_listens(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, recording=False))
    phone.after(2_000)
    assert sounds(phone, RecordCaller) == []
    tell(phone, Listen(True))
    phone.after(1_000)
    assert len(sounds(phone, RecordCaller)) == 50
    tell(phone, Listen(False))
    phone.after(1_000)
    assert len(sounds(phone, RecordCaller)) == 50
    assert sounds(phone, StartRecording) == []


def test_listeners_hear_what_the_caller_hears_recorded_or_not(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=1_500)
    phone.after(500)
    tell(phone, Listen(True))
    phone.after(500)
    phone.speak(800)
    phone.after(6_000)
    heard = b"".join(each.payload for each in sounds(phone, RecordAgent))
    assert heard == phone.carrier.heard(phone.world.now) != b""
    tell(phone, Listen(False))
    before = len(sounds(phone, RecordAgent))
    phone.speak(800)
    phone.after(6_000)
    assert len(sounds(phone, RecordAgent)) == before


def test_a_recording_goes_on_when_nobody_listens_any_more(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, recording=True))
    for on in (True, False, True, False):
        phone.after(1_000)
        tell(phone, Listen(on))
    phone.after(1_000)
    frames = [each.at_ms for each in sounds(phone, RecordCaller)]
    assert frames == list(range(0, 20 * len(frames), 20)), "each once, without a gap"


def test_what_is_paused_from_the_recording_is_silent_for_listeners(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, recording=False))
    phone.after(500)
    tell(phone, Listen(True))
    phone.speak(1_000)
    phone.after(500)
    phone.talk._model.tools.recording_pauses.pause("tool", phone.world.now)
    begun = len(sounds(phone, RecordCaller))
    phone.speak(1_000)
    phone.after(1_000)
    before, since = sounds(phone, RecordCaller)[:begun], sounds(phone, RecordCaller)[begun:]
    assert any(set(each.payload) != {0xFF} for each in before)
    assert since and all(set(each.payload) == {0xFF} for each in since[5:])


# Who calls.


def informed(phone: Phone) -> list[Any]:
    """The instructions of each session update after the first, and where the model was asked to answer."""
    updates = [each for each in phone.model.received if each["type"] in {"session.update", "response.create"}]
    return [each["session"] if each["type"] == "session.update" else "asked" for each in updates[1:]]


def test_who_calls_is_known_before_the_first_answer_if_it_comes_in_time(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, instructions="Be brief.", caller_context="# Caller Context\n- phone: +1"))
    phone.after(500)
    tell(phone, Inform("1", "# Caller Context\n- name: Ada"))
    phone.after(500)
    phone.speak(800)
    phone.after(3_000)
    update = {"type": "realtime", "instructions": "Be brief.\n\n# Caller Context\n- name: Ada"}
    assert informed(phone) == [update, "asked"], "and nothing else of the session is set again"
    assert outcomes(phone) == ["done"] and phone.model.violations == []


def test_who_calls_is_known_to_the_next_session_too_and_told_once(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, instructions="Be brief."))
    tell(phone, Inform("1", "# Caller Context\n- name: Ada"))  # the model is not there yet
    phone.after(1_000)
    tell(phone, Inform("2", "# Caller Context\n- name: Ada"))
    first = [each for each in phone.model.received if each["type"] == "session.update"]
    assert [each["session"]["instructions"] for each in first] == ["Be brief.\n\n# Caller Context\n- name: Ada"]
    phone.carry(phone.talk.model_lost(phone.world.now, "gone"))
    phone.after(2_000)
    sessions = [each for each in phone.model.received if each["type"] == "session.update"]
    assert "- name: Ada" in sessions[-1]["session"]["instructions"]
    assert outcomes(phone) == ["done", "done"]


def test_nobody_is_told_when_the_call_is_over(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(500)
    tell(phone, EndCall("hang_up"))
    tell(phone, Inform("1", "x"))
    assert outcomes(phone) == ["over"]
