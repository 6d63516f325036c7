"""The carrier's forms about calls as requests to control."""

from datetime import UTC, datetime

import pytest

from gateway import carrierforms, textforms
from hum.contract.validation import bad_e164

KEYS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", strict=True))


@pytest.mark.parametrize("word", ["ANONYMOUS", "RESTRICTED", "BLOCKED", "UNKNOWN", "UNAVAILABLE"])
def test_a_word_in_digits_is_a_withheld_number(word: str) -> None:
    digits = "".join(KEYS[letter] for letter in word)
    for number in (digits, f"+{digits}"):
        form = {"CallSid": "CA1", "MessageSid": "SM1", "From": number, "To": "+12125550100"}
        assert carrierforms.route_request(form).from_e164 == "anonymous", number
        assert textforms.receive_request(form, datetime.now(UTC)).from_e164 == "anonymous", number


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("+7378742883", "anonymous"),  # as the carrier's own list spells RESTRICTED
        ("+17378742833", "+17378742833"),  # a number in Austin
        ("+26669668712", "+26669668712"),
        ("+862824522531", "+862824522531"),
        ("+13175551234", "+13175551234"),
        ("Restricted", "Restricted"),
        ("sip:desk@example.com", "sip:desk@example.com"),
        ("", ""),
    ],
)
def test_other_senders_stay_as_the_carrier_writes_them(sent: str, read: str) -> None:
    assert carrierforms.route_request({"CallSid": "CA1", "From": sent}).from_e164 == read


def test_what_stands_for_a_withheld_number_is_none() -> None:
    assert bad_e164(carrierforms.ANONYMOUS) is not None
    assert [number for number in carrierforms.STAND_INS if bad_e164(f"+{number}") is None] != [], "some pass as numbers"
