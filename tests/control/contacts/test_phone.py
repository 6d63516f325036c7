"""Phone numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base import phone
from control.base.phone import NotANumber

SPELLINGS = (
    "(317) 555-1234", "317.555.1234", "317-555-1234", "317 555 1234", "3175551234", "1-317-555-1234", "13175551234",
    "+1 317 555 1234", "+13175551234", "tel:+1-317-555-1234", "３１７５５５１２３４", "\u202a+1 (317) 555\u20111234\u202c",
    "317/555 1234", "\ufeff+1\u00a0317\u00a0555\u00a01234", "＋１（３１７）５５５－１２３４", "011 1 317 555 1234",
)  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_one_number_in_any_spelling(text: str) -> None:
    assert phone.e164(text, "US") == "+13175551234"


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("317-555-1234 x5", "US", "extension"),
        ("tel:+1-317-555-1234;ext=5", "US", "extension"),
        ("(317) 555-1234", None, "no default region"),
        ("1-800-FLOWERS", "US", "is not a phone number"),
        ("call +13175551234", "US", "is not a phone number"),
        ("12", "US", "possible"),
        ("", "US", "is not a phone number"),
        ("anonymous", "US", "is not a phone number"),
        ("+999 123", "US", "is not a phone number"),
        (f"(317) 555{' ' * phone.MAX_CHARS}1234", "US", "is not a phone number"),
    ],
)
def test_what_is_none_says_why(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(NotANumber, match=reason):
        phone.e164(text, region)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("(317) 555-1234", "3175551234"),
        ("+1 317", "1317"),
        ("1234", "1234"),
        ("020 7946", "207946"),
        ("+44 (0)20 7946 0958", "442079460958"),
        ("0044 20 7946 0958", "442079460958"),
        ("３１７", "317"),
        ("12", None),
        ("-555", None),
        ("ann", None),
        ("ann 555", None),
        ("000", None),
        (f"{' ' * phone.MAX_CHARS}317", "317"),
        (f"317{' ' * phone.MAX_CHARS}555", None),
        ("", None),
    ],
)
def test_digits_of_a_number_or_a_part_of_one(text: str, digits: str | None) -> None:
    assert phone.digits(text) == digits


@pytest.mark.parametrize(
    ("number", "region"), [("+13175550100", "US"), ("+442079460958", "GB"), ("+80012345678", None), (None, None)]
)
def test_the_country_of_a_number(number: str | None, region: str | None) -> None:
    assert phone.region(number) == region


@pytest.mark.parametrize("text", [f"1{chr(0x316) * 1000}", f"+1 317 555 1234{chr(0x316) * 1000}"])
def test_a_long_text_is_not_normalized(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def normalize(_: str) -> str:
        raise AssertionError("takes quadratic time")

    monkeypatch.setattr(phone, "_normalize", normalize)
    assert phone.digits(text) is None and phone.e164_or_none(text) is None


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_not(text: str) -> None:
    found = phone.digits(text)
    assert found is None or (found.isascii() and found.isdecimal())
    try:
        assert phone.e164(text, "US").startswith("+")
    except NotANumber:
        assert phone.e164_or_none(text) is None
