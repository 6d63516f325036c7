"""A call's events as people read them."""

from typing import Any

from hum.cli import conversation


def turn(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "text": text, "start_ms": 1500, "interrupted": False, "heard_text": None, **more}


def test_a_turn_that_was_cut_is_shown_as_said_and_as_heard() -> None:
    first, second = conversation.lines(
        "transcript.turn", turn("agent", "We are open today.", interrupted=True, heard_text="We are")
    )
    assert "1.50 s   agent: We are open today. [interrupted]" in first
    assert second.strip() == "the caller heard: We are"
    (line,) = conversation.lines("transcript.turn", turn("caller", "Hello"))
    assert "caller: Hello" in line


def test_what_was_heard_of_the_agent() -> None:
    turns = [
        turn("agent", "Welcome.", heard_text="Welcome."),
        turn("caller", "Hello"),
        turn("agent", "We are open today.", interrupted=True, heard_text="We are"),
        turn("agent", "Never heard.", interrupted=True, heard_text=""),
        turn("agent", "Goodbye."),
    ]
    assert [line.strip() for line in conversation.heard(turns)] == ["Welcome.", "We are ...", "Goodbye."]


def test_an_event_of_a_later_release_is_not_shown() -> None:
    assert conversation.lines("call.whispered", {}) == []
