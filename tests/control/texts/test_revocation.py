"""Who says in words of their own that they want no more texts, and who does not."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from control.texts import revocation
from control.texts import revocationphrases as phrases
from control.texts.revocation import EVIDENCE_CHARS, MOST_CHARS, revokes
from tests.support.examples import examples, sample


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


def test_the_sentence_is_the_evidence_in_its_own_words() -> None:
    assert revokes("Thanks for everything! But please stop texting me. Bye") == "But please stop texting me"
    assert revokes("\nARR\u00caT svp.") == "ARR\u00caT svp"
    assert revokes("please " * 100 + "stop texting me") == ("please " * 100)[:EVIDENCE_CHARS]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("STOP\n\nSent from my iPhone", "STOP"),
        ("STOP\nEnviado desde mi Samsung", "STOP"),
        ("Stop\n--\nMaria Lopez\nAcme Inc., 12 Main St.", "Stop"),
        ("Sent from my iPhone, please stop", None),
        ("See you\n--\nPlease stop texting me", "Please stop texting me"),
        ("See you\n--\nSTOP", None),
        ("Stop\nMaria", None),
    ],
)
def test_a_signature_says_nothing(body: str, sentence: str | None) -> None:
    assert revokes(body) == sentence


@pytest.mark.parametrize(
    "body", ["Stop \u6211\u5728\u516c\u8f66\u7ad9", "stop \u0441\u044e\u0434\u0430", "stop 22", "stop_sign"]
)
def test_a_word_of_another_language_is_a_word(body: str) -> None:
    assert revokes(body) is None


WORDS = sorted(
    {
        word
        for text in (phrases.PATTERNS, phrases.ASIDES, phrases.OPENINGS, phrases.ENDS, *phrases.CLASSES.values())
        for word in re.findall(r"[\w']+", text)
    }
    | phrases.LONE
)


def test_each_class_of_words_is_used_and_defined() -> None:
    assert set(re.findall(r"<(\w+)>", phrases.PATTERNS)) == set(phrases.CLASSES)
    for word in WORDS:
        assert revocation._words(word) and revocation._letters(word) == word, "written as it is read"


def test_no_text_takes_long() -> None:
    """Whatever is repeated, behind whatever begins a sentence: each is some thousand steps, and none is tried again."""
    began = time.process_time()
    bodies = [
        f"{beginning} {f'{word}{between}' * MOST_CHARS}"[:MOST_CHARS]
        for beginning in ("", "stop", "i do not want", "je ne veux plus recevoir", "keine")
        for word in sample(WORDS, 5)
        for between in (" ", ". ", "\n")
    ]
    for body in bodies:
        revokes(body)
    assert time.process_time() - began < 0.02 * len(bodies)


PIECES = some.one_of(
    some.sampled_from(WORDS), some.sampled_from([" ", ". ", "\n", "--\n", ", ", "'", "?"]), some.text(max_size=5)
)


@settings(max_examples=examples(3000))
@given(some.lists(PIECES, max_size=200).map(" ".join))
def test_hostile_texts_are_read_and_the_evidence_is_of_their_words(body: str) -> None:
    sentence = revokes(body)
    if sentence is not None:
        assert len(sentence) <= EVIDENCE_CHARS
        assert set(revocation._words(sentence)) - {"stop"} <= set(revocation._words(body.replace(".", " ")))


@pytest.mark.parametrize(
    "char", ["\u0301", "\u0301\u0316", "\ufdfa", "'", "_", "\n", "--\n", "\u0130", "\U0001f6d1", "\0"]
)
def test_odd_characters_are_read(char: str) -> None:
    assert revokes((char * MOST_CHARS)[:MOST_CHARS]) is None
    assert revokes(f"stop texting me{char * MOST_CHARS}") is None, "too long"
