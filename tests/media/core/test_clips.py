from typing import Any

from media.core.clips import Clips, heard_text, instruction
from media.core.types import CallPlan, Clip, ClipKind
from tests.support.present import present

CLIPS = {ClipKind.GREETING: Clip("Hello there", b"\x01" * 80), ClipKind.ANNOUNCEMENT: Clip("Recorded")}


def plan(**changes: Any) -> CallPlan:
    return CallPlan("", "v", "m", "t", clips=CLIPS, **changes)


def test_the_opening_announces_first_and_only_if_asked() -> None:
    assert Clips(plan()).opening() == [ClipKind.GREETING]
    assert Clips(plan(announce_recording=True)).opening() == [ClipKind.ANNOUNCEMENT, ClipKind.GREETING]


def test_a_clip_is_a_new_item_each_time_and_none_without_audio() -> None:
    clips = Clips(plan())
    first, second = present(clips.item(ClipKind.GREETING)), present(clips.item(ClipKind.GREETING))
    assert first.id != second.id and first.complete and not first.of_model and first.generated == 80
    assert clips.item(ClipKind.ANNOUNCEMENT) is clips.item(ClipKind.HOLD) is None
    assert clips.text(ClipKind.ANNOUNCEMENT) == "Recorded" and clips.text(ClipKind.HOLD) is None
    assert "Recorded" in instruction(ClipKind.ANNOUNCEMENT, "Recorded")


def test_what_was_heard_of_a_clip() -> None:
    text = "one two three"
    assert [heard_text(text, heard, 100) for heard in (0, 40, 100)] == ["", "one", "one two three"]


def test_fillers_take_turns() -> None:
    clips = Clips(plan(fillers=(Clip("Hm", b"\x01" * 8), Clip("Well", b"\x02" * 8))))
    said = [clips.filler() for _ in range(3)]
    assert [item.text for item in said] == ["Hm", "Well", "Hm"]
    assert len({item.id for item in said}) == 3
    assert all(item.clip is ClipKind.FILLER and item.complete and not item.of_model for item in said)
