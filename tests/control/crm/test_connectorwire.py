"""Bodies, answers and times, without anything around them."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import pytest

from control.base.egress import Policy
from control.crm import connectorwire
from control.crm.connectorwire import ConnectorEvent, ConnectorReply, CrmContact
from hum.contract.errors import InvalidRequest

KNOWN, NOBODY, FAILED = (
    ConnectorReply("ok", contact=CrmContact("1")),
    ConnectorReply("not_found"),
    ConnectorReply("failed", "timeout"),
)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("replies", "waited", "index"),
    [
        ([KNOWN, None], False, 0),
        ([None, KNOWN], False, None),
        ([None, KNOWN], True, 1),
        ([NOBODY, KNOWN, KNOWN], False, 1),
        ([FAILED, KNOWN], False, 1),
        ([NOBODY, FAILED], True, None),
        ([None, None], True, None),
        ([NOBODY, None, KNOWN], False, None),
    ],
)
def test_the_first_that_knows_is_believed(
    replies: list[ConnectorReply | None], waited: bool, index: int | None
) -> None:
    assert connectorwire.winner(replies, waited=waited) == index


@pytest.mark.parametrize(
    ("attempts", "after_seconds", "wait_seconds"),
    [(1, 0, 10), (2, 0, 60), (6, 0, 3600), (40, 0, 3600), (1, 100, 100), (1, 10**6, 3600), (3, 5, 300)],
)
def test_it_is_tried_more_and_more_rarely(attempts: int, after_seconds: float, wait_seconds: int) -> None:
    due = connectorwire.next_attempt(attempts, NOON, NOON, DAY, after_seconds)
    assert due == NOON + timedelta(seconds=wait_seconds)


def test_it_is_tried_for_a_day() -> None:
    assert connectorwire.next_attempt(30, NOON, NOON + timedelta(hours=22.9), DAY, 0) is not None
    assert connectorwire.next_attempt(30, NOON, NOON + timedelta(hours=23), DAY, 0) is None


@pytest.mark.parametrize("text", ["120", "0"])
def test_retry_after_in_seconds(text: str) -> None:
    assert connectorwire.retry_after_seconds(text) == int(text)


@pytest.mark.parametrize("text", [None, "", "Wed, 21 Oct 2026 07:28:00 GMT", "-5", "9" * 30, "١٢"])
def test_any_other_retry_after_is_none(text: str | None) -> None:
    assert connectorwire.retry_after_seconds(text) == 0


@pytest.mark.parametrize(
    ("contact", "fields", "problems"),
    [
        ({}, {}, []),
        ({"name": " Ada\t Lovelace "}, {"name": "Ada Lovelace"}, []),
        ({"name": ""}, {}, []),
        ({"name": "x" * 201}, {}, ["name"]),
        ({"name": "Ada\x00"}, {}, ["name"]),
        ({"name": "Ada \u202e gnp"}, {}, ["name"]),
        ({"name": "\ud800"}, {}, ["name"]),
        ({"name": "Ada\U000e0069\U000e0067"}, {}, ["name"]),
        ({"name": "Ada\u200b"}, {}, ["name"]),
        ({"name": "Ada \ue000"}, {}, ["name"]),
        (
            {"name": "\u06cc\u200c\u06cc \u2764\ufe0f\u200d\U0001f525"},
            {"name": "\u06cc\u200c\u06cc \u2764\ufe0f\u200d\U0001f525"},
            [],
        ),
        ({"name": {"first": "Ada"}}, {}, ["name"]),
        ({"email": "ada@example.com"}, {"email": "ada@example.com"}, []),
        ({"email": "ada@example.com\nBcc: x@y.z"}, {}, ["email"]),
        ({"attributes": {"a": [1, {"b": None}]}}, {"attributes_json": '{"a": [1, {"b": null}]}'}, []),
        ({"attributes": {str(n): n for n in range(101)}}, {}, ["attributes"]),
        ({"attributes": {"a": "x" * 8000}}, {}, ["attributes"]),
        ({"attributes": {"a": float("inf")}}, {}, ["attributes"]),
        ({"attributes": {"a": "\x00"}}, {}, ["attributes"]),
        ({"attributes": "gold"}, {}, ["attributes"]),
        ({"id": ""}, {}, ["id"]),
        ({"id": "x" * 201}, {}, ["id"]),
        ({"phone": "+1", "owner": {}}, {}, []),
    ],
)
def test_a_contact_is_read_field_by_field(contact: Any, fields: dict[str, str], problems: list[str]) -> None:
    found, bad = connectorwire.contact_of(contact)
    assert (found.fields, bad) == (fields, problems)


@pytest.mark.parametrize(("id", "known"), [("a", "a"), (7, "7"), (10**30, "1" + "0" * 30), (1.5, None), (True, None)])
def test_an_id_is_text_or_a_whole_number(id: Any, known: str | None) -> None:
    assert connectorwire.contact_of({"id": id})[0].id == known


def test_a_contact_that_is_created_must_have_an_id() -> None:
    assert connectorwire.interpret(
        ConnectorEvent.CREATE, 201, b'{"contact": {"id": 7}}', truncated=False
    ).contact == CrmContact("7")
    for body in (b"", b"{}", b'{"contact": {"id": null}}', b'{"contact": []}'):
        assert connectorwire.interpret(ConnectorEvent.CREATE, 201, body, truncated=False).failed


def test_numbers_that_take_long_to_read_are_no_json() -> None:
    body = b'{"found": true, "contact": {"id": ' + b"1" * 60_000 + b"}}"
    assert connectorwire.interpret(ConnectorEvent.LOOKUP, 200, body, truncated=False).reason == "not_json"


def test_a_secret_is_hidden_before_the_log_cuts_the_text() -> None:
    secret = "crmsec_" + "s" * 43
    shown = connectorwire.redacted(b"x" * (connectorwire.LOG_CHARS - 10) + secret.encode(), [secret])
    assert "sss" not in shown and len(shown) <= connectorwire.LOG_CHARS


@pytest.mark.parametrize(
    ("url", "stored"),
    [("https://a.example/", "https://a.example"), ("https://a.example/hum//", "https://a.example/hum")],
)
def test_a_base_url_ends_without_a_slash(url: str, stored: str) -> None:
    assert connectorwire.base_url(url, Policy()) == stored


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://user:x@a.example",
        "https://a.example?x=1",
        "https://a.example#x",
        "https://2130706433",
        "http://a.example",
        "https://a.example:8080",
        "https://10.0.0.1",
        "https://[::1]",
    ],
)
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(InvalidRequest):
        connectorwire.base_url(url, Policy())


def test_an_address_that_the_operator_allows_is_a_base_url() -> None:
    policy = Policy((IPv4Network("10.0.0.0/8"),))
    assert connectorwire.base_url("http://10.0.0.1:8080", policy) == "http://10.0.0.1:8080"
