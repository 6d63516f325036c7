"""Signatures of Stripe's webhooks, against those that its own SDK makes; and whom an event is about."""

import json
from typing import Any

import pytest
import stripe

from gateway.stripe import is_signed, read

SECRET, OTHER = "whsec_one", "whsec_two"
NOW = 1_800_000_000
BODY = '{"id": "evt_1", "object": "event", "note": "Zażółć"}'


def header(body: str = BODY, secret: str = SECRET, at: int = NOW) -> str:
    made: str = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return made


def signed(text: str, *secrets: str, body: str = BODY) -> bool:
    return is_signed(secrets or (SECRET,), text, body.encode(), float(NOW), 300)


def test_what_the_sdk_signs_is_signed() -> None:
    assert signed(header())
    assert signed(header(), OTHER, SECRET)  # a rotation
    assert signed(f"{header(secret=OTHER)},{header().partition(',')[2]}")  # Stripe signs with both meanwhile
    assert signed(header() + ",v0=abc,v2=def")


@pytest.mark.parametrize(
    "text",
    [
        header(secret=OTHER),
        header(BODY + " "),
        header(at=NOW - 301),
        header(at=NOW + 301),
        header().replace("v1=", "v0="),
        header().partition(",")[0],
        header().partition(",")[2],
        f"t={NOW + 1},{header().partition(',')[2]}",
        f"{header()},t={NOW}",
        "t=,v1=",
        "t=-1,v1=00",
        "t=１８,v1=00",
        "t=9" + "9" * 50 + ",v1=00",
        "t=" + "9" * 1500 + ",v1=00",
        "",
        "v1=é",
        ",".join([f"t={NOW}", *["v1=00"] * 30, header().partition(",")[2]]),  # more than anybody needs
    ],
)
def test_what_is_not_signed(text: str) -> None:
    assert not signed(text)


@pytest.mark.parametrize(
    ("held", "customer"),
    [
        ({"object": "subscription", "customer": "cus_1"}, "cus_1"),
        ({"object": "subscription", "customer": {"id": "cus_1", "object": "customer"}}, "cus_1"),
        ({"object": "customer", "id": "cus_1"}, "cus_1"),
        ({"object": "price", "id": "price_1"}, None),
        ({"object": "subscription", "customer": None}, None),
        ({"object": "subscription", "customer": "c" * 201}, None),
        ({"object": "subscription", "customer": ["cus_1"]}, None),
        ({"object": "subscription", "customer": "cus\n1"}, None),
        ([], None),
        (None, None),
    ],
)
def test_whom_an_event_is_about(held: Any, customer: str | None) -> None:
    event = read(json.dumps({"id": "evt_1", "type": "a.b", "data": {"object": held}}).encode())
    assert (event.customer_id if event is not None else None) == customer


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"id": 1}', b"\xff", b'{"data": 1}', b"[" * 5000])
def test_what_is_no_event(body: bytes) -> None:
    assert read(body) is None
