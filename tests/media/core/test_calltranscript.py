from collections.abc import Callable

from media.core.calltranscript import CallTranscript
from media.core.heardposition import Item, ItemAudio
from media.core.latency import Latency
from media.core.modelmessages import TurnModel
from media.core.types import Action, Report, TurnEnded
from tests.support.plans import call_plan


class Record:
    """A transcript, and the turns that it has reported."""

    def __init__(self, deadline_ms: int = 4_000) -> None:
        plan = call_plan("", TurnModel("m", "v", "t"), transcript_deadline_ms=deadline_ms)
        self._actions: list[Action] = []
        self.turns = CallTranscript(plan, Latency(), self._actions.append)

    def told(self, now: float = 0.0) -> list[tuple[int, str, str]]:
        return self._new(lambda: self.turns.report(now))

    def flushed(self) -> list[tuple[int, str, str]]:
        return self._new(self.turns.flush)

    def _new(self, report: Callable[[], None]) -> list[tuple[int, str, str]]:
        self._actions.clear()
        report()
        events = [action.event for action in self._actions if isinstance(action, Report)]
        return [(event.seq, event.role, event.text) for event in events if isinstance(event, TurnEnded)]

    def agent_said(self, text: str, heard: int, *, interrupted: bool = False) -> str:
        """End a turn of the agent's of which this much of its 1,000 bytes was heard; return the words that were."""
        item = Item("a", audio=ItemAudio(bytes(1_000)), heard=heard)
        self.turns.item_opened("a")
        self.turns.agent_text(item, text)
        return self.turns.agent_ended(item, 2_000, interrupted=interrupted)


def test_the_answer_waits_for_the_text_of_its_question() -> None:
    record = Record()
    record.turns.caller_began("u", 100, 0)
    record.turns.caller_ended("u", 900, 0)
    record.turns.agent_began("a", 1_500)
    assert record.agent_said("Yes.", 1_000) == "Yes."
    assert record.told() == []
    record.turns.caller_text("u", " Is it? ")
    assert record.told() == [(1, "caller", "Is it?"), (2, "agent", "Yes.")]


def test_a_text_that_never_comes_is_empty_at_its_deadline() -> None:
    record = Record()
    record.turns.caller_began("u", 100, 0)
    record.turns.caller_ended("u", 900, 1_000)
    assert record.told(4_999) == []
    assert record.told(5_000) == [(1, "caller", "")]
    record.turns.caller_text("u", "too late")
    assert record.told(9_000) == []


def test_a_turn_that_never_ends_does_not_hold_up_the_next() -> None:
    record = Record(deadline_ms=1_000)
    record.turns.caller_began("u1", 100, 0)
    record.turns.caller_began("u2", 900, 500)
    record.turns.caller_text("u2", "again")
    assert record.told(1_500) == [(1, "caller", ""), (2, "caller", "again")]


def test_the_end_reports_what_is_left_in_the_order_of_speech() -> None:
    record = Record()
    record.turns.agent_began("a", 500)
    record.turns.caller_began("u", 100, 0)
    assert [role for _, role, _ in record.flushed()] == ["caller", "agent"]
    assert record.flushed() == []


def test_a_new_session_learns_what_was_heard_even_if_it_is_not_reported() -> None:
    record = Record()
    record.turns.caller_began("u", 0, 0)
    record.turns.agent_began("a", 100)
    assert record.agent_said("One two three", 600, interrupted=True) == "One two"
    assert record.turns.history() == [("agent", "One two")]
    record.turns.caller_text("u", "Hm")
    assert record.told() and record.turns.history() == [("caller", "Hm"), ("agent", "One two")]


def test_an_item_is_opened_once_and_its_text_is_dropped_when_it_has_ended() -> None:
    record = Record()
    assert record.turns.item_opened("a") and not record.turns.item_opened("a")
    item = Item("a", audio=ItemAudio(bytes(1_000)), heard=1_000)
    record.turns.agent_words(item, "Hello", item.generated)
    assert record.turns.words(item) == ("Hello", "Hello")
    record.turns.drop_text("a")
    assert record.turns.words(item) == ("", "")
    assert not record.turns.item_opened("a"), "its id stays known"
