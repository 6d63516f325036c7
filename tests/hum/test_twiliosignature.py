"""The carrier's signature: Twilio's own examples, its SDK as oracle where it is right, and the places where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from hum.twiliosignature import is_signed, sign

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@pytest.mark.parametrize(
    ("url", "form", "signature"),
    [
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace(".com", ".com:443"), FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (JSON_URL, [], "a9nBmqA0ju/hNViExpshrM61xv4="),
    ],
)
def test_vectors(url: str, form: list[tuple[str, str]], signature: str) -> None:
    assert sign(TOKEN, url, form) == signature
    assert is_signed([TOKEN], url, form, signature)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(
    st.dictionaries(TEXT.filter(bool), TEXT, max_size=6),
    st.sampled_from(["https", "http", "wss"]),
    st.sampled_from(["", ":443", ":80", ":8443"]),
)
def test_the_sdk_agrees_on_ordinary_requests(form: dict[str, str], scheme: str, port: str) -> None:
    url = f"{scheme}://hum.example{port}/twilio/voice"
    ours = sign(TOKEN, url, list(form.items()))
    assert ours == RequestValidator(TOKEN).compute_signature(url, form)
    assert is_signed([TOKEN], url, list(form.items()), ours)


def test_the_standard_port_may_be_there_or_not() -> None:
    for plain, with_port in (
        ("https://h/p", "https://h:443/p"),
        ("wss://h/p", "wss://h:443/p"),
        ("ws://h/p", "ws://h:80/p"),
        ("http://h/p", "http://h:80/p"),
    ):
        assert is_signed([TOKEN], plain, FORM, sign(TOKEN, with_port, FORM))
        assert is_signed([TOKEN], with_port, FORM, sign(TOKEN, plain, FORM))
    assert not is_signed([TOKEN], "https://h/p", FORM, sign(TOKEN, "https://h:8443/p", FORM))


def test_wss_is_not_https() -> None:
    assert not is_signed([TOKEN], "wss://h/media", [], sign(TOKEN, "https://h/media", []))


def test_hosts_that_the_sdk_mangles() -> None:
    for url in ("https://user:pass@h:8443/p", "https://[::1]:8443/p", "https://[2001:db8::1]/p"):
        assert is_signed([TOKEN], url, FORM, sign(TOKEN, url, FORM))


def test_while_rotating_both_tokens_sign() -> None:
    assert is_signed(["new", TOKEN], URL, FORM, sign(TOKEN, URL, FORM))
    assert is_signed(["new", TOKEN], URL, FORM, sign("new", URL, FORM))
    assert not is_signed([], URL, FORM, sign(TOKEN, URL, FORM))


@pytest.mark.parametrize("signature", ["", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B8=\n", "é"])
def test_what_is_no_signature(signature: str) -> None:
    assert not is_signed([TOKEN], URL, FORM, signature)


def test_blank_and_spaced_values_are_signed_as_they_are() -> None:
    for changed in ([("Body", "")], [("Body", " ")], [("Body", "a ")]):
        assert not is_signed([TOKEN], URL, [("Body", "a")], sign(TOKEN, URL, changed))
