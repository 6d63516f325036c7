"""Whether a text is answered, and what an answer may be: tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.flows import smsconfig
from control.flows.smsconfig import Config
from control.textagent import turndecision
from control.textagent.turndecision import (
    DeferReply,
    HandOver,
    NoReply,
    Recheck,
    Respond,
    ThreadMessage,
    TurnCounts,
    TurnFacts,
    TurnLimits,
)
from control.texts import segments, sendgate

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = TurnLimits(turns_per_pair=200, turns_per_organization=5000, attempts=3, reply_segments=11, seconds=5)
FACTS = TurnFacts(
    is_paused=False,
    is_blocked=False,
    is_our_own=False,
    gate=sendgate.SEND,
    config=Config(),
    counts=TurnCounts(0, 0, 0),
    history=[ThreadMessage("inbound", "Hello?", AT)],
    attempts=1,
)


def thread(*bodies: str, apart_seconds: float = 20) -> list[ThreadMessage]:
    """They write first, and then in turn with us; each is `apart_seconds` after the one before."""
    return [
        ThreadMessage(
            ("inbound", "outbound")[place % 2],
            body,
            AT + timedelta(seconds=place * apart_seconds),
            ("", "ai")[place % 2],
        )
        for place, body in enumerate(bodies)
    ]


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, Respond()),
        ({"config": None}, NoReply("no_flow")),
        ({"is_paused": True}, NoReply("paused")),
        ({"is_blocked": True}, NoReply("blocked")),
        ({"gate": sendgate.Stop("opted_out", "opted_out")}, NoReply("opted_out")),
        ({"gate": sendgate.Stop("canceled", "closed")}, NoReply("closed")),
        ({"gate": sendgate.Wait(AT, "organization_hours")}, DeferReply(AT)),
        ({"history": []}, NoReply("answered")),
        ({"history": [*FACTS.history, ThreadMessage("outbound", "Hi", AT, "human")]}, NoReply("answered")),
        ({"history": [*FACTS.history, ThreadMessage("outbound", "Hi", AT, "api")]}, NoReply("answered")),
        ({"history": [*FACTS.history, ThreadMessage("outbound", "Sale!", AT, "campaign")]}, Respond()),
        ({"history": [ThreadMessage("inbound", "Automatic reply: I am away until Monday", AT)]}, NoReply("auto_reply")),
        ({"counts": TurnCounts(29, 29, 29)}, Respond()),
        ({"counts": TurnCounts(30, 30, 30)}, HandOver("turn_cap")),
        ({"counts": TurnCounts(0, 200, 200)}, HandOver("pair_cap")),
        ({"counts": TurnCounts(0, 0, 5000)}, HandOver("organization_cap")),
        ({"is_our_own": True, "counts": TurnCounts(5, 5, 5)}, Respond()),
        ({"is_our_own": True, "counts": TurnCounts(6, 6, 6)}, HandOver("loop")),
        (
            {"is_our_own": True, "counts": TurnCounts(6, 6, 6), "config": Config(max_turns_per_window=2)},
            HandOver("loop"),
        ),
        ({"attempts": 3}, Respond()),
        ({"attempts": 4}, HandOver("model_failed", falls_back=True)),
    ],
)
def test_before_the_model_is_asked(changes: dict[str, Any], decision: turndecision.Decision) -> None:
    assert turndecision.decide(replace(FACTS, **changes), LIMITS) == decision


NOW = Recheck(
    is_paused=False,
    is_blocked=False,
    gate=sendgate.SEND,
    human_wrote=False,
    newer_text=False,
    dropped_before=False,
    has_acted=False,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"human_wrote": True, "is_paused": True}, "human_replied"),
        ({"is_paused": True}, "paused"),
        ({"is_blocked": True}, "blocked"),
        ({"gate": sendgate.Stop("canceled", "closed")}, "closed"),
        ({"gate": sendgate.Wait(AT, "organization_hours")}, None),
        ({"newer_text": True}, "newer_text"),
        ({"newer_text": True, "dropped_before": True}, None),
    ],
)
def test_before_the_answer_is_sent(changes: dict[str, Any], reason: str | None) -> None:
    assert turndecision.drop_reason(replace(NOW, **changes)) == reason


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ("Auto-reply: I'll be back on Monday", True),
        ("AUTOMATIC RESPONSE - office closed", True),
        ("I'm driving right now, I'll get back to you later", True),
        ("I\u2019m driving. Sent from my car", True),
        ("Out of office until 3 June", True),
        ("This is an automated message. Do not reply to this number.", True),
        ("Hi, this mailbox is not monitored.", True),
        ("Am I talking to a machine, or is it auto?", False),
        ("Do you send automatic replies?", False),
        ("My car broke down while I was driving", False),
        ("Is the office out of order?", False),
        ("I'm driving with Driving Focus turned on. I'll see your message when I get where I'm going.", True),
        ("Sorry, I am away from my phone", True),
        ("I'm driving to your office now, which floor is it?", False),
        ("I am driving tomorrow, can you move my appointment to Friday?", False),
        ("I'm driving to the hospital, please tell the doctor", False),
        ("I'm driving, what's your address?", False),
        ("I got 'do not reply to this message' from you - how do I cancel?", False),
    ],
)
def test_machines_that_say_that_nobody_is_there(body: str, is_one: bool) -> None:
    assert turndecision.is_auto_reply(body) is is_one


def test_who_repeats_themselves_is_a_machine() -> None:
    assert turndecision.is_loop(thread("Press 1", "Hi?", "press 1.", "Hello?", "PRESS 1"))
    assert not turndecision.is_loop(thread("Press 1", "Hi?", "Press 1", "Hello?", "Press 2"))
    assert not turndecision.is_loop([ThreadMessage("inbound", "Hello?", AT)] * 3), "somebody who waits for an answer"
    assert not turndecision.is_loop(thread("", "Nice!", "", "What a view.", "")), "pictures"
    assert not turndecision.is_loop(thread("\U0001f44d", "Great.", "\U0001f64f", "You're welcome.", "\U0001f600"))


def test_who_answers_at_once_for_ever_is_a_machine() -> None:
    talk = [f"text {place}" for place in range(13)]
    assert turndecision.is_loop(thread(*talk, apart_seconds=1))
    assert not turndecision.is_loop(thread(*talk[:11], apart_seconds=1)), "not yet"
    assert not turndecision.is_loop(thread(*talk, apart_seconds=4)), "a fast person"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**Yes**, we\u2019re open \u2013 \u201cdaily\u201d\u2026", 'Yes, we\'re open - "daily"...'),
        ("# Hours\nNine to five", "Hours\nNine to five"),
        ("See [our page](https://a.example/x).", "See our page: https://a.example/x."),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("5 * 3 ** 2 is 45, snake_case stays", "5 * 3 ** 2 is 45, snake_case stays"),
        ("nul\0 and bell\a", "nul and bell"),
        ("  \u0416  ", "\u0416"),
    ],
)
def test_a_reply_is_plain(text: str, plain: str) -> None:
    assert turndecision.plain(text) == plain


@pytest.mark.parametrize(
    "text", ["One two. " * 100, "word " * 400, "x" * 2000, "\U0001f600" * 500, "\u0416 " * 900, "a. b"]
)
@pytest.mark.parametrize(("chars", "most"), [(1600, 11), (160, 1), (40, 2), (3, 1), (1, 1)])
def test_what_is_cut_fits_and_is_a_beginning(text: str, chars: int, most: int) -> None:
    cut = turndecision.cut(text, chars, most)
    assert len(cut) <= chars and segments.count(cut) <= most and cut
    assert text.startswith(cut.removesuffix("..."))


def test_a_configuration_has_defaults_and_ignores_what_it_does_not_know() -> None:
    assert smsconfig.config(None) == Config()
    assert smsconfig.config('{"debounce_ms": 5, "later": 1}') == Config(debounce_ms=5)
