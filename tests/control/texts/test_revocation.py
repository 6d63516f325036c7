"""Who says in words of their own that they want no more texts, and who does not."""

import re
import time

import pytest

from control.texts.revocation import _BEFORE, _END, _ME, _WHAT, MOST_CHARS, revokes


@pytest.mark.parametrize(
    "body",
    [
        "Please stop texting me",
        "STOP TEXTING ME!!!",
        "stop messaging me please",
        "Wrong number. Please stop texting.",
        "please don't text me any more",
        "Don\u2019t text me again",
        "do not contact me ever again",
        "Hey, quit sending me these messages",
        "stop sending texts to this number",
        "take me off your list",
        "Please remove me from your contact list",
        "unsubscribe me",
        "opt me out",
        "I don't want any more texts from you",
        "i do not want to receive your messages",
        "I want to unsubscribe",
        "not interested, stop texting me",
        "Lose my number.",
        "leave me alone",
        "Hi! I moved away. Stop all messages please.",
    ],
)
def test_these_mean_it(body: str) -> None:
    assert revokes(body)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Please don't stop texting me",
        "Don't text me after nine, I'm at work",
        "I never said stop texting me",
        "stop by at five",
        "Can you stop the delivery?",
        "don't text me, call me instead",
        "My husband says you should stop texting me because he is jealous, but I like it",
        "Did you stop texting me?",
        "cancel my appointment",
        "I don't want the red one",
        "Don't message him, message me",
        "opt",
        "End the texts with your name so that I know who writes",
        "Is this message from you?",
        "stop texting me " * 40,
    ],
)
def test_these_do_not(body: str) -> None:
    assert revokes(body) is None


def test_the_sentence_is_the_evidence() -> None:
    assert revokes("Thanks for everything! But please stop texting me. Bye") == "but please stop texting me"
    assert revokes("Thanks for everything! Please stop texting me. Bye") == "please stop texting me"


PHRASES = sorted(
    {each.strip() for source in (_BEFORE, _WHAT, _END, _ME) for each in re.split(r"[|()?:*]+", source)} - {""}
)
BEGINNINGS = (
    "",
    "stop",
    "stop texting me",
    "stop sending",
    "i want",
    "i do not need",
    "unsubscribe from your",
    "take me off your",
)


def test_no_text_takes_long() -> None:
    """Whatever is repeated: each more of it would double the time if it could be read in two ways."""
    began = time.process_time()
    for beginning in BEGINNINGS:
        for phrase in PHRASES:
            for pair in (phrase, f"{phrase} any", f"ever {phrase}", f"{phrase} {phrase} more"):
                body = f"{beginning} {f'{pair} ' * 100}"[: MOST_CHARS - 2]
                assert revokes(f"{body} x") is None
    assert time.process_time() - began < 10
