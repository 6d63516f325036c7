from typing import Any

from media.core.modelmessages import TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.prompts import Prompts, heard_text, instruction
from tests.support.plans import call_plan
from tests.support.present import present

PROMPTS = {PromptKind.GREETING: Prompt("Hello there", b"\x01" * 80), PromptKind.ANNOUNCEMENT: Prompt("Recorded")}


def plan(**changes: Any) -> CallPlan:
    return call_plan("", TurnModel("m", "marin", "t"), prompts=PROMPTS, **changes)


def test_the_opening_announces_first_and_only_if_asked() -> None:
    assert Prompts(plan()).opening() == [PromptKind.GREETING]
    assert Prompts(plan(announce_recording=True)).opening() == [PromptKind.ANNOUNCEMENT, PromptKind.GREETING]


def test_a_prompt_is_a_new_item_each_time_and_none_without_audio() -> None:
    prompts = Prompts(plan())
    first, second = present(prompts.item(PromptKind.GREETING)), present(prompts.item(PromptKind.GREETING))
    assert first.id != second.id and first.complete and not first.of_model and first.generated == 80
    assert prompts.item(PromptKind.ANNOUNCEMENT) is prompts.item(PromptKind.HOLD) is None
    assert prompts.text(PromptKind.ANNOUNCEMENT) == "Recorded" and prompts.text(PromptKind.HOLD) is None
    assert "Recorded" in instruction(PromptKind.ANNOUNCEMENT, "Recorded")


def test_what_was_heard_of_a_prompt() -> None:
    text = "one two three"
    assert [heard_text(text, heard, 100) for heard in (0, 40, 100)] == ["", "one", "one two three"]


def test_fillers_take_turns() -> None:
    prompts = Prompts(plan(fillers=(Prompt("Hm", b"\x01" * 8), Prompt("Well", b"\x02" * 8))))
    said = [prompts.filler() for _ in range(3)]
    assert [item.text for item in said] == ["Hm", "Well", "Hm"]
    assert len({item.id for item in said}) == 3
    assert all(item.prompt is PromptKind.FILLER and item.complete and not item.of_model for item in said)
