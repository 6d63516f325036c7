"""A call's events as people read them in the terminal."""

from typing import Any

from cli import callprintout


def turn(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "text": text, "start_ms": 1500, "interrupted": False, "heard_text": None, **more}


def test_a_turn_that_was_cut_is_shown_as_said_and_as_heard() -> None:
    first, second = callprintout.lines(
        "transcript.turn", turn("agent", "We are open today.", interrupted=True, heard_text="We are")
    )
    assert "1.50 s   agent: We are open today. [interrupted]" in first
    assert second.strip() == "the caller heard: We are"
    (line,) = callprintout.lines("transcript.turn", turn("caller", "Hello"))
    assert "caller: Hello" in line


def test_what_was_heard_of_the_agent() -> None:
    turns = [
        turn("agent", "Welcome.", heard_text="Welcome."),
        turn("caller", "Hello"),
        turn("agent", "We are open today.", interrupted=True, heard_text="We are"),
        turn("agent", "Never heard.", interrupted=True, heard_text=""),
        turn("agent", "Goodbye."),
    ]
    assert [line.strip() for line in callprintout.heard_lines(turns)] == ["Welcome.", "We are ...", "Goodbye."]


def test_an_overlap_is_told_with_its_onset_and_its_verdict() -> None:
    overlap = {"at_ms": 3200, "reaction_ms": 60, "heard_ms": 900, "verdict": "cut"}
    why = {"onset": "hiss", "reason": "kept_speaking", "decided_ms": 3620, "spoken_ms": 360}
    onset, verdict = callprintout.lines("barge_in", overlap | why)
    assert onset.split() == "3.20 s (over the agent: a hiss as of an s; cleared after 60 ms)".split()
    assert verdict.split() == "3.62 s (cut: the caller kept speaking, 360 ms of voice)".split()
    nod = overlap | why | {"onset": "voice", "verdict": "resumed", "reason": "fell_silent", "spoken_ms": 140}
    assert "taken back, the agent goes on: the caller fell silent, 140 ms" in callprintout.lines("barge_in", nod)[1]
    (earlier,) = callprintout.lines("barge_in", overlap | dict.fromkeys(why))
    assert "the caller speaks over the agent: cut" in earlier


def test_an_event_of_a_later_release_is_not_shown() -> None:
    assert callprintout.lines("call.whispered", {}) == []


def test_what_did_not_stop_the_agent_is_told_with_its_reason() -> None:
    (line,) = callprintout.lines("onset.refused", {"at_ms": 3200, "until_ms": 3340, "onset": "voice", "reason": "echo"})
    assert (
        line.strip()
        == "3.20 s          (not stopped for a voice: as loud as the agent's own echo, or a copy of it, 140 ms)"
    )
