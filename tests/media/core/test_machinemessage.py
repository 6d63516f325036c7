"""A machine that answers our call gets the message, whole and alone, or nobody at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from media.core.commands import EndCall, Machine
from media.core.legmessages import HangUp
from media.core.modelmessages import TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.types import BargedIn, CommandReply, TurnEnded
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone

GREETING = bytes(range(1, 251)) * 64  # 2 s
MESSAGE = bytes(range(3, 253)) * 160  # 5 s
PLAN = call_plan(
    "Be kind.",
    TurnModel("gpt-realtime", "marin", "whisper"),
    opens=True,
    prompts={
        PromptKind.GREETING: Prompt("Hello this is the shop", GREETING),
        PromptKind.MACHINE: Prompt("Please call the shop back", MESSAGE),
        PromptKind.GOODBYE: Prompt("Goodbye then", bytes(800)),
    },
)
LEAVE = Machine("machine", message=True)


def told(phone: Phone, command: EndCall | Machine) -> None:
    phone.carry(phone.talk.command(command, phone.world.now))


def said(phone: Phone) -> list[tuple[str, str, bool]]:
    return [(turn.text, turn.heard_text, turn.interrupted) for turn in phone.told(TurnEnded) if turn.role == "agent"]


@pytest.mark.parametrize("speaking_ms", [500, 3_500])
def test_the_message_is_left_whole_and_alone(make_phone: Callable[..., Phone], speaking_ms: int) -> None:
    """Whether the agent was speaking when it came to the beep, or silent."""
    phone = make_phone(PLAN)
    phone.after(speaking_ms)
    told(phone, LEAVE)
    asked_ms = phone.world.now
    told(phone, LEAVE)  # told twice, done once
    phone.after(9_000)
    assert phone.hung_up == HangUp("machine")
    assert phone.carrier.heard(phone.world.now).endswith(MESSAGE)
    assert said(phone)[-1] == ("Please call the shop back",) * 2 + (False,)
    assert len(phone.carrier.heard(phone.world.now)) <= len(GREETING) + len(MESSAGE)
    assert not phone.told(BargedIn), "nobody has interrupted anybody"
    start_ms = phone.carrier.played[-1][0]
    assert start_ms < asked_ms + 700


def test_what_the_machine_says_does_not_interrupt_it(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(3_000)
    told(phone, LEAVE)
    phone.after(300)
    phone.speak(2_000)
    phone.after(6_000)
    assert phone.hung_up == HangUp("machine")
    assert phone.carrier.heard(phone.world.now).endswith(MESSAGE)


def test_it_comes_in_the_middle_of_an_overlap(make_phone: Callable[..., Phone]) -> None:
    """The machine was talking over the greeting, which had been stopped for it."""
    phone = make_phone(PLAN)
    phone.after(600)
    phone.speak(200)
    told(phone, LEAVE)
    phone.after(9_000)
    assert phone.hung_up == HangUp("machine")
    assert phone.carrier.heard(phone.world.now).endswith(MESSAGE)


def test_a_long_message_is_not_cut(make_phone: Callable[..., Phone]) -> None:
    long = MESSAGE * 6  # 30 s; an ordinary close is cut after 15
    phone = make_phone(changed(PLAN, prompts={**PLAN.prompts, PromptKind.MACHINE: Prompt("Long", long)}))
    phone.after(2_500)
    told(phone, LEAVE)
    phone.after(33_000)
    assert phone.hung_up == HangUp("machine")
    assert phone.carrier.heard(phone.world.now).endswith(long)


def test_a_message_that_is_not_rendered_is_spoken_by_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={**PLAN.prompts, PromptKind.MACHINE: Prompt("Please call the shop back")}))
    phone.after(3_000)
    told(phone, LEAVE)
    phone.after(12_000)
    assert phone.hung_up == HangUp("machine")
    assert len(said(phone)) == 2


def test_without_a_text_the_model_says_what_it_called_for(make_phone: Callable[..., Phone]) -> None:
    prompts: dict[PromptKind, Prompt] = {
        kind: prompt for kind, prompt in PLAN.prompts.items() if kind is not PromptKind.MACHINE
    }
    phone = make_phone(changed(PLAN, prompts=prompts))
    phone.after(3_000)
    told(phone, LEAVE)
    phone.after(12_000)
    assert phone.hung_up == HangUp("machine")
    assert len(said(phone)) == 2


def test_a_machine_is_hung_up_on_at_once(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(700)
    told(phone, Machine("fax"))
    phone.after(300)
    assert phone.hung_up == HangUp("fax")
    assert len(phone.carrier.heard(phone.world.now)) < len(GREETING)


def test_a_call_that_closes_already_closes_as_it_does(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(2_500)
    told(phone, EndCall("operator", spoken=True))
    told(phone, LEAVE)
    phone.after(4_000)
    assert phone.hung_up == HangUp("operator")


def test_a_machine_after_the_end_changes_nothing(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(700)
    told(phone, EndCall("operator"))
    phone.after(100)
    told(phone, LEAVE)
    phone.after(1_000)
    assert phone.hung_up == HangUp("operator")


def test_who_has_called_speaks_first_also_without_a_greeting(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={}))
    phone.after(3_000)
    assert said(phone) or phone.carrier.heard(phone.world.now).strip(b"\xff")


def test_who_is_called_waits_for_the_caller(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, prompts={}, opens=False))
    phone.after(3_000)
    assert not phone.carrier.heard(phone.world.now).strip(b"\xff")


def test_a_command_is_confirmed_each_time_it_comes(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(500)
    command = replace(LEAVE, id="command_1")
    told(phone, command)
    told(phone, command)
    phone.after(9_000)
    assert phone.hung_up == HangUp("machine")
    told(phone, command)
    assert [reply.outcome for reply in phone.told(CommandReply)] == ["done", "done", "over"]


UNRENDERED = changed(PLAN, prompts={**PLAN.prompts, PromptKind.MACHINE: Prompt("Please call the shop back")})


@pytest.mark.parametrize("lost_ms", [0, 1_000])
def test_the_model_that_is_to_say_the_message_is_waited_for(make_phone: Callable[..., Phone], lost_ms: int) -> None:
    """It is lost before the machine answers, or while it says the message: that is left whole."""
    phone = make_phone(UNRENDERED)
    phone.after(3_000)
    if not lost_ms:
        phone.lose()
    told(phone, LEAVE)
    phone.after(lost_ms)
    if lost_ms:
        assert phone.hung_up is None
        phone.lose()
    phone.after(15_000)
    assert phone.hung_up == HangUp("machine")
    assert said(phone)[-1] == (said(phone)[-1][0],) * 2 + (False,)
    assert len(said(phone)) == (3 if lost_ms else 2)


def test_a_message_without_a_model_is_given_up(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(UNRENDERED)
    phone.after(3_000)
    phone.fate = "refused"
    phone.lose()
    told(phone, LEAVE)
    phone.after(UNRENDERED.patience.patience_ms + 2_000)
    assert phone.hung_up is not None and phone.hung_up.reason == "model_lost"
    assert len(said(phone)) == 1


def test_a_rendered_message_needs_no_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(3_000)
    phone.fate = "refused"
    phone.lose("model_refused no")
    told(phone, LEAVE)
    phone.after(9_000)
    assert phone.hung_up is not None
