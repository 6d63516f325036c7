import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from sandbox.twilio.signature import Fields, sign

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
HASHED = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@pytest.mark.parametrize(
    ("url", "fields", "expected"),
    [
        (URL, FIELDS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace(".com", ".com:443"), FIELDS, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (HASHED, (), "a9nBmqA0ju/hNViExpshrM61xv4="),
    ],
)
def test_published_vectors(url: str, fields: Fields, expected: str) -> None:
    assert sign("12345", url, fields) == expected


def test_the_fragment_is_not_signed() -> None:
    assert sign("12345", URL + "#rc=5&rp=all", FIELDS) == sign("12345", URL, FIELDS)


@given(st.dictionaries(st.text("AZaz09", min_size=1), st.text(st.characters(codec="utf-8"), max_size=20)))
def test_the_official_validator_agrees(fields: dict[str, str]) -> None:
    assert RequestValidator("12345").validate(
        "https://h.example/p", fields, sign("12345", "https://h.example/p", fields)
    )
    assert RequestValidator("12345").validate("wss://h.example/p", {}, sign("12345", "wss://h.example/p"))
