"""What of tools' arguments and results is not kept."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base.redaction import (
    CARD,
    SECRET,
    hidden,
    hidden_within,
    is_secret_name,
    masked_json,
    text_without_secrets,
    without_secrets,
)

CARDS = {
    "visa": "4111111111111111",
    "visa of 13": "4222222222222",
    "mastercard": "5555555555554444",
    "mastercard of the 2 series": "2223003122003222",
    "amex": "378282246310005",
    "diners": "30569309025904",
    "discover": "6011111111111117",
    "jcb": "3530111333300000",
    "unionpay": "6250941006528599",
    "maestro": "6759649826438453",
}
GROUPINGS = (
    [0],
    [4, 8, 12],
    [4, 10],
    [2, 4, 6, 8, 10, 12, 14],
    list(range(1, 19)),
)


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("mark", [" ", "-", "\u00a0", ".", "\u2013", " - "[:2]])
@pytest.mark.parametrize("grouping", GROUPINGS, ids=str)
def test_a_card_is_found_however_it_is_grouped(number: str, mark: str, grouping: list[int]) -> None:
    written = "".join((mark if place in grouping and place else "") + digit for place, digit in enumerate(number))
    assert text_without_secrets(f"my card is {written}, thanks") == f"my card is {CARD}, thanks"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # its checksum is wrong
        "9111111111111111",  # nobody issues that
        "41111111111111111111111",  # too long to be one
        "+13175550199",
        "+4915112345678",  # as a card's it would be right
        "2026-11-26T13:05:59.123Z",
        "01HVN5J8Q0ZR4TB8M3C2Y7K6WD",
        "1764164728123456",
        "192.168.100.200",
        "order 1234567890123",
    ],
)
def test_what_is_no_card_stays(text: str) -> None:
    assert without_secrets({"text": text}) == {"text": text}


def test_a_card_beside_other_digits_is_found() -> None:
    assert text_without_secrets("4111111111111111 12/29 123") == f"{CARD} 12/29 123"
    assert text_without_secrets("4111 1111 1111 1111 5555 5555 5555 4444") == f"{CARD} {CARD}"
    assert without_secrets({"number": 4111111111111111, "n": 7, "t": True}) == {"number": CARD, "n": 7, "t": True}


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS)
def test_of_many_cards_in_a_row_each_is_found(number: str) -> None:
    grouped = " ".join(number[place : place + 4] for place in range(0, len(number), 4))
    assert text_without_secrets(" ".join([grouped] * 40)) == " ".join([CARD] * 40)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "password1",
        "accessToken2",
        "client_secrets",
        "apiKeys",
        "api2_key",
        "PWD",
        "jwt",
        "credentials",
        "userCredential",
        "Authorization",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "accessToken",
        "refresh-token",
        "CVV",
        "cardNumber",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert without_secrets([{name: "hunter2", "other": {name: 12}}]) == [{name: SECRET, "other": {name: SECRET}}]


@pytest.mark.parametrize(
    "name", ["name", "order_id", "tokens_left_over_count"[7:], "keyboard", "pinned", "secretary", "address", "class1"]
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_secrets_are_found_however_they_are_spelt() -> None:
    secret = 'p@ss "word"/1'
    for spelt in (
        secret,
        'p@ss \\"word\\"/1',
        "p%40ss%20%22word%22%2F1",
        "p%40ss+%22word%22%2F1",
        "cEBzcyAid29yZCIvMQ==",
    ):
        assert hidden(f"<{spelt}>", [secret]) == f"<{SECRET}>", spelt
        assert without_secrets({"a": [spelt]}, [secret]) == {"a": [SECRET]}
    assert hidden("4111111111111111", [secret]) == "4111111111111111", "nothing else"


def test_secrets_are_found_however_json_is_written() -> None:
    secret = "aB/cD&<é>"
    for spelt in (r"aB\/cD&<é>", r"aB/cD\u0026\u003cé\u003e", r"aB\/cD\u0026\u003c\u00e9\u003e", "aB/cD&amp;&lt;é&gt;"):
        assert hidden(f"<{spelt}>", [secret]) == f"<{SECRET}>", spelt
    value = {"a": [f"x{secret}y", 1, None, True], secret: {"b": "c"}}
    assert hidden_within(value, [secret]) == {"a": [f"x{SECRET}y", 1, None, True], SECRET: {"b": "c"}}
    assert hidden_within(value, []) == value


def test_keys_and_headers_are_found_in_texts() -> None:
    assert text_without_secrets("Authorization: Bearer abcdef123456") == f"Authorization: Bearer {SECRET}"
    assert text_without_secrets("use hum_live_" + "a" * 43) == f"use {SECRET}"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=40),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_no_json_breaks_it_and_nothing_is_left_to_remove(value: object) -> None:
    once = without_secrets(value)
    assert without_secrets(once) == once


def test_what_is_long_or_deep_takes_no_time() -> None:
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    without_secrets(deep)
    began = time.thread_time()  # what others do with the cores doesn't count
    for text in ("4 " * 60_000, "6 7 5 9 " * 15_000, "4111 1111 1111 1112 " * 6_000, "4" * 120_000, "bearer " * 10_000):
        text_without_secrets(text)
    assert time.thread_time() - began < 1.2


def test_masking_ends_where_json_is_too_deep() -> None:
    deep = '{"pin": "9876", "a": ' + "[" * 400 + "]" * 400 + "}"
    assert masked_json(deep) == '{"pin": "[secret]", "a": ' + "[" * 100 + '"[too deep]"' + "]" * 100 + "}"
    assert masked_json("[" * 500_000 + "]" * 500_000) == '"[too deep]"'
