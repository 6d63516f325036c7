"""What a posted body says, what tells it from others, and whether it is signed."""

import base64
import json

import pytest

from control.base import standardwebhooks
from control.triggers import payloads
from control.triggers.payloads import BadHook, Key, Signed

#: The vector of the specification (Standard Webhooks 1.0.0).
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY, AT = b'{"test": 2432232314}', 1614265330
RIGHT = Signed("msg_p5jXN8AQM9LWM0D4loKWxJek", str(AT), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


def is_signed(
    signed: Signed | None = RIGHT, *, body: bytes = BODY, at: float = AT, keys: tuple[bytes, ...] = (KEY,)
) -> bool:
    try:
        payloads.require_signed(keys, signed, body, at, 300)
    except BadHook as bad:
        assert bad.what == "signature"
        return False
    return True


def test_the_specifications_vector_is_accepted_and_nothing_beside_it() -> None:
    assert is_signed() and is_signed(at=AT + 300) and is_signed(keys=(b"other" * 5, KEY))
    listed = Signed(RIGHT.id, RIGHT.timestamp, f"v1a,x v1,AAAA {RIGHT.signature}")
    assert is_signed(listed), "one of several is enough: a secret is being rotated"
    assert not is_signed(None)
    assert not is_signed(body=BODY + b" ")
    assert not is_signed(at=AT + 301) and not is_signed(at=AT - 301)
    assert not is_signed(keys=(b"other" * 5,))
    for signature in ("", "v1,", "v1,AAAA", "v2" + RIGHT.signature[2:], RIGHT.signature[3:], "v1,é"):
        assert not is_signed(Signed(RIGHT.id, RIGHT.timestamp, signature)), signature
    for timestamp in ("", "nan", "inf", "-1", "1e9", f" {AT}", "٣", "9" * 400):
        assert not is_signed(Signed(RIGHT.id, timestamp, RIGHT.signature)), timestamp
    many = " ".join(["v1,AAAA"] * 10 + [RIGHT.signature])
    assert not is_signed(Signed(RIGHT.id, RIGHT.timestamp, many)), "no request buys hours of comparing"


@pytest.mark.parametrize(
    ("content_type", "body", "payload"),
    [
        ("application/json", b'{"b": 1, "a": 2}', '{"b": 1, "a": 2}'),
        ("application/json; charset=utf-8", b"\xef\xbb\xbf[1]", "[1]"),
        ("application/cloudevents+json", b"7", "7"),
        ("", b'"text"', '"text"'),
        ("text/plain", b"  ", "{}"),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=2&c=", '{"a":["1","2"],"b":"x y","c":""}'),
        ("application/x-www-form-urlencoded", b"n=%C3%A5%00", '{"n":"å\\u0000"}'),
        ("Application/JSON", b'{"deep": ' + b"[" * 63 + b"]" * 63 + b"}", '{"deep": ' + "[" * 63 + "]" * 63 + "}"),
    ],
)
def test_bodies_become_json(content_type: str, body: bytes, payload: str) -> None:
    assert payloads.payload(content_type, body) == payload
    json.loads(payload)


@pytest.mark.parametrize(
    ("content_type", "body", "what"),
    [
        ("application/json", b"{", "body"),
        ("application/json", b"\xff\xfe", "body"),
        ("application/json", b"Infinity", "body"),
        ("application/json", b"[" * 65 + b"]" * 65, "body"),
        ("application/json", b"[" * 100_000, "body"),
        ("application/x-www-form-urlencoded", b"&".join(b"a" for _ in range(1001)), "body"),
        ("application/x-www-form-urlencoded", b"{broken", "body"),
        ("application/x-www-form-urlencoded", b"\xff=1", "body"),
        ("multipart/form-data; boundary=x", b"--x", "media_type"),
        ("text/html", b"<p>", "media_type"),
    ],
)
def test_bodies_that_are_neither_are_refused(content_type: str, body: bytes, what: str) -> None:
    with pytest.raises(BadHook) as refused:
        payloads.payload(content_type, body)
    assert refused.value.what == what


def key(header: str = "", webhook: str = "", payload: str = "{}", field: str = "id", *, signed: bool = False) -> str:
    found = payloads.key_of(header, webhook, payload, field, is_signed=signed)
    return f"{found.source}={found.text}" if found else ""


def test_what_tells_a_post_from_others() -> None:
    body = '{"id": 7, "event": {"id": 8}, "no": 1.5, "yes": true, "none": null, "empty": ""}'
    assert key("k", "w", body) == "idempotency-key=k"
    assert key("", "w", body) == "webhook-id=w"
    assert key("k", "w", body, signed=True) == "webhook-id=w"
    assert key(payload=body) == "id_field=7"
    assert key(payload='{"id": "7"}') == "id_field=7", "a number and its text are one"
    assert key(payload=body, field="no") == "id_field=1.5"
    assert [key(payload=body, field=field) for field in ("event", "yes", "none", "empty", "absent", "")] == [""] * 6
    assert [key(payload=payload) for payload in ("[1]", "7", '"id"', "null")] == [""] * 4
    assert Key("a", "b").hash != Key("b", "a").hash
    assert (Key("id_field", "x\0y" * 200).shown, len(Key("id_field", "x" * 999).shown)) == (
        "x\N{REPLACEMENT CHARACTER}y" * 85,
        255,
    )


def test_secrets_are_written_as_receivers_know_them() -> None:
    assert standardwebhooks.key(standardwebhooks.secret(b"k" * 32)) == b"k" * 32
    wrong = (
        "",
        "whsec_",
        "k" * 44,
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
    )
    assert [standardwebhooks.key(text) for text in wrong] == [None] * len(wrong)
