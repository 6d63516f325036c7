"""Segments as carriers count them, against the figures of Twilio's calculator."""

import pytest

from control.texts import segments

EMOJI = "\U0001f600"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("", 1),
        *(
            ("a" * length, count)
            for length, count in ((160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4), (1600, 11))
        ),
        *(("€" * length, count) for length, count in ((80, 1), (81, 2), (152, 2), (153, 3))),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("a" * 152 + "€" + "a" * 151, 2),
        *(("ж" * length, count) for length, count in ((70, 1), (71, 2), (134, 2), (135, 3), (1600, 24))),
        *((EMOJI * length, count) for length, count in ((35, 1), (36, 2), (66, 2), (67, 3))),
        ("a" * 70 + "`", 2),
        ("a\r\n" * 53, 1),
    ],
)
def test_segments(body: str, count: int) -> None:
    assert segments.count(body) == count


def test_one_curly_quote_costs_more_than_the_rest() -> None:
    assert segments.is_gsm("It's ten o'clock.") and not segments.is_gsm("It\u2019s ten o'clock.")
