"""Which messages are keywords: the whole message, however it is written, and nothing more."""

import pytest

from control.texts import keywords
from control.texts.keywords import MOST_CHARS, Keyword

STOP, START, HELP = Keyword.STOP, Keyword.START, Keyword.HELP


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        *((word, STOP) for word in ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")),
        *((word, START) for word in ("START", "YES", "UNSTOP")),
        *((word, HELP) for word in ("HELP", "INFO")),
        *(
            (body, STOP)
            for body in ("stop", " Stop\r\n", "\u201cSTOP.\u201d", "(stop)", "STOP!!!", "* stop *", "stop \U0001f64f")
        ),
        *(
            (body, STOP)
            for body in ("opt out", "Opt-Out", "opt  out", "stop all", "\uff33\uff34\uff2f\uff30", "\u200bSTOP\ufeff")
        ),
        *(
            (body, None)
            for body in ("", " ", "...", "\0", "stop it", "don't stop", "yes please", "S T O P", "stopp", "st op")
        ),
        *((body, None) for body in ("end" * 1000, "." * 70 + "stop", "help me", "stop" + "\u0301")),
    ],
)
def test_keywords(body: str, keyword: Keyword | None) -> None:
    assert keywords.recognize(body) is keyword


def test_a_long_message_is_none_and_costs_nothing() -> None:
    assert keywords.recognize(" " * (MOST_CHARS - 4) + "stop") is STOP
    assert keywords.recognize(" " * (10 << 20) + "stop") is None


@pytest.mark.parametrize(
    ("body", "carriers", "keyword"),
    [
        ("arr\u00eat", "STOP", STOP),
        ("yes", "STOP", STOP),
        ("stop", "HELP", STOP),
        ("help", "START", HELP),
        ("hello", "START", START),
        ("hello", "whatever", None),
        ("hello", "", None),
    ],
)
def test_the_carrier_may_know_more_words(body: str, carriers: str, keyword: Keyword | None) -> None:
    assert keywords.recognize(body, carriers) is keyword
