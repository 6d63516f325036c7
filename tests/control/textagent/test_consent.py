"""The caller's words, as the agent quotes them and as the transcript has them."""

import pytest

from control.textagent import consent

TURNS = ("Hello, this is Ann.", "Um, yes, please text me the address.", "Danke, schicken Sie mir die Adresse.")


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("yes please text me the address", True),
        ("YES, please — text me that address", True),  # two hearings differ by a word
        ("schicken sie mir die adresse", True),
        ("yes", True),
        ("yes, send me your offers", False),
        ("text me the address and call my brother tomorrow morning", False),
        ("Hello please Danke", False),  # of three turns
        ("?!", False),
        ("", False),
    ],
)
def test_a_quote_is_found(quote: str, *, found: bool) -> None:
    assert consent.is_found(quote, TURNS) is found


@pytest.mark.parametrize(
    ("quote", "part"),
    [
        ("stop sending them", "Stop sending\u2026 them"),
        ("I\u2019m DONE. Stop", "I\u2019m done! Stop"),
        ("stop", "Stop"),
        ("sending them all", None),
        ("stop them", None),
        ("done stop", "done! Stop"),
        ("!!", None),
        ("", None),
    ],
)
def test_a_quote_of_a_text_is_in_it_word_for_word(quote: str, part: str | None) -> None:
    assert consent.in_text(quote, "Hey, I\u2019m done! Stop sending\u2026 them.") == part
