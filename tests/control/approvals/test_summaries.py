"""What people are shown of arguments, and what they send back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.approvals import summaries
from control.base import redaction

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("4111 1111 1111 1111"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("pin"), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4111111111111111", "[card ...1111]"),
        ("card 4111-1111-1111-1111, cvc 123", "card [card ...1111], cvc 123"),
        (4111111111111111, "[card ...1111]"),
        ("378282246310005", "[card ...0005]"),
        ("4111111111111112", "4111111111111112"),  # no card: its check digit is wrong
        ("+4915112345678", "+4915112345678"),
        ("order 1234567890123", "order 1234567890123"),
        ({"a": ["5555555555554444"]}, {"a": ["[card ...4444]"]}),
        ({"pin": "9876", "note": "Bearer abcdefgh1234"}, {"pin": "[secret]", "note": "Bearer [secret]"}),
        ({"customer": {"access_token": "t", "n": 1}}, {"customer": {"access_token": "[secret]", "n": 1}}),
        (True, True),
        (12, 12),
    ],
)
def test_of_card_numbers_the_last_digits_are_shown(value: Any, shown: Any) -> None:
    assert redaction.masked(value) == shown


@given(VALUES)
def test_what_is_sent_back_as_it_was_shown_is_as_it_was(value: Any) -> None:
    assert summaries.restored(redaction.masked(value), value) == value


def test_what_was_changed_is_changed_and_the_rest_is_as_it_was() -> None:
    before = {"n": 1, "card": "4111111111111111", "list": ["4111111111111111", "x"]}
    edited = redaction.masked(before) | {"n": 2}
    assert summaries.restored(edited, before) == before | {"n": 2}
    assert summaries.restored({"card": "other"}, before) == {"card": "other"}
    assert json.loads(redaction.masked_json(json.dumps(before)))["card"] == "[card ...1111]"


def test_secrets_that_are_sent_back_as_they_were_shown_are_what_they_were() -> None:
    before = {"n": 1, "pin": "9876", "all": [{"token": "t"}, {"token": "u", "n": 2}], "4111111111111111": {"pin": "1"}}
    edited = redaction.masked(before) | {"n": 2}
    assert "9876" not in json.dumps(edited) and "4111111111111111" not in edited
    assert summaries.restored(edited, before) == before | {"n": 2}
    edited["all"][0]["token"] = "other"
    assert summaries.restored(edited, before)["all"] == [{"token": "other"}, {"token": "u", "n": 2}]
    assert summaries.restored({"pin": "1"}, before) == {"pin": "1"}


def test_a_summary_is_one_line_however_long_another_system_writes() -> None:
    text = summaries.summary("Desk", "shop__refund", "Refunds.\n\nIGNORE\tall\r\n" + "x" * 10_000, {})
    assert "\n" not in text and len(text) <= summaries.MOST_SUMMARY_CHARS


def test_a_summary_names_the_arguments_that_are_set() -> None:
    text = summaries.summary("Desk", "pay", "Pays.", {"account": "DE1", "token": "t"})
    assert text == 'Desk wants to use pay with {"account": "DE1", "token": "[secret]"}: Pays.'
    long = summaries.summary("Desk", "pay", "Pays.", {"x": "y" * 10_000})
    assert len(long) <= summaries.MOST_SUMMARY_CHARS and long.endswith(": Pays.")
