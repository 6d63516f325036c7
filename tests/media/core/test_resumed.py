"""A media process dies: what was being said is known, and the next stream's agent goes on with it."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest

from media.core.plans import Prompt, PromptKind
from media.core.session import BROKE_OFF
from media.core.types import AnnouncementPlayed, TurnEnded, UnderWay
from tests.media.core.test_model_faults import BARE, PLAN
from tests.support.plans import changed
from tests.support.simulation import Phone

BACK = bytes(range(1, 251)) * 32  # 1 s
HISTORY: tuple[tuple[Literal["caller", "agent"], str], ...] = (
    ("agent", "Hello and welcome"),
    ("caller", "When do you open?"),
    ("agent", "We open at"),
)
RESUMED = changed(PLAN, prompts={**PLAN.prompts, PromptKind.RESUMED: Prompt("Sorry, I'm back", BACK)}, history=HISTORY)


def test_the_agent_goes_on_by_itself(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(RESUMED, answer_ms=2_000)
    phone.after(6_000)
    (answer,) = phone.model.items.values()
    assert phone.carrier.heard(phone.world.now) == BACK + answer
    begun, _ = phone.carrier.played[0]
    assert begun - 1_000 <= 150, "at once"
    items = [m["item"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    texts = [item["content"][0]["text"] for item in items]
    assert texts == [*(text for _, text in HISTORY), "Sorry, I'm back", BROKE_OFF]
    assert [item["role"] for item in items] == ["assistant", "user", "assistant", "assistant", "system"]
    assert phone.model.types().count("response.create") == 1
    assert phone.told(TurnEnded)[0].text == "Sorry, I'm back"
    assert phone.model.violations == []


def test_a_sentence_that_is_not_rendered_is_said_by_the_model(make_phone: Callable[..., Phone]) -> None:
    prompts = {PromptKind.RESUMED: Prompt("Sorry, I'm back")}
    phone = make_phone(changed(RESUMED, prompts=prompts), answer_ms=1_000)
    phone.after(6_000)
    asked = [
        m.get("response", {}).get("instructions", "") for m in phone.model.received if m["type"] == "response.create"
    ]
    assert [text.split("\n")[-1] for text in asked] == ["Sorry, I'm back", ""]


def test_who_speaks_first_is_answered(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(RESUMED, answer_ms=2_000)
    phone.after(300)
    phone.speak(1_200)
    phone.after(6_000)
    assert phone.model.types().count("response.create") >= 1
    assert phone.told(TurnEnded)[-1].role == "agent"
    assert phone.model.violations == []


def test_an_announcement_that_was_not_heard_is_made_first(make_phone: Callable[..., Phone]) -> None:
    prompts = {**RESUMED.prompts, PromptKind.ANNOUNCEMENT: Prompt("This call is recorded", bytes(800))}
    phone = make_phone(changed(RESUMED, prompts=prompts, announce_recording=True))
    phone.after(3_000)
    assert [turn.text for turn in phone.told(TurnEnded)][:2] == ["This call is recorded", "Sorry, I'm back"]
    assert phone.told(AnnouncementPlayed)


def test_of_a_sentence_no_more_than_half_a_second_is_unknown(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=6_000, delay=40)
    phone.after(1_000)
    phone.speak(600)
    phone.after(2_000)
    told = []
    while len(phone.told(TurnEnded)) < 2:
        phone.after(100)
        known = phone.told(UnderWay)[-1].turns
        agent = [turn for turn in known if turn.role == "agent"]
        if agent and not phone.told(TurnEnded)[1:]:
            (turn,) = agent
            at_ms = phone.world.now - 1_005 - 40
            assert at_ms - turn.end_ms <= 700
            assert turn.text.startswith(turn.heard_text)
            assert abs(len(turn.heard_text.split()) * 100 - (turn.end_ms - turn.start_ms)) <= 200
            assert turn.interrupted
            assert turn.seq == 2
            told.append(turn)
    assert len({turn.heard_text for turn in told}) >= 8
    assert all(before.end_ms <= after.end_ms for before, after in pairwise(told))
    phone.after(1_000)
    assert phone.told(UnderWay)[-1].turns == (), "nothing is left of turns that are final"


def test_a_quiet_call_tells_nothing(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(10_000)
    assert phone.told(UnderWay) == []


@pytest.mark.parametrize("words", [True, False])
def test_what_the_caller_has_said_so_far_is_known_too(make_phone: Callable[..., Phone], words: bool) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    phone.model.faults.never_transcribe = True
    phone.speak(600)
    phone.after(1_300)
    item = next(m for m in phone.model._spoken[-1].items if m.wire.get("role") == "user").id
    if words:
        event = {"type": "conversation.item.input_audio_transcription.delta", "item_id": item, "delta": "I would like"}
        phone.model.emit(event.pop("type"), **event)
    phone.after(700)
    known = [turn for each in phone.told(UnderWay) for turn in each.turns if turn.role == "caller"]
    assert {turn.text for turn in known} == ({"I would like"} if words else set())
