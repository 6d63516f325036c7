"""The rules of posts to triggers: payload, idempotency key, signature.  Pure."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from control.base import standardwebhooks
from hum import secrets

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
#: The shown part of a key.
KEY_CHARS = 255
MOST_FIELDS = 1000
DEEPEST = 64
#: The signatures checked per request, to bound the cost.
MOST_SIGNATURES = 10


class BadHook(Exception):  # noqa: N818 - about a request
    """The refusal of a request; `what` is for the trigger's owner, the message for the sender."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class Signed:
    """The headers of a signature (Standard Webhooks)."""

    id: str
    timestamp: str
    signature: str


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key, and where it was in the request."""

    source: str
    text: str

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(f"{self.source}\0{self.text}".encode()).digest()

    @property
    def shown(self) -> str:
        return self.text[:KEY_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}")


def media_type(content_type: str) -> str:
    """Return the media type without parameters."""
    return content_type.partition(";")[0].strip().lower()[:KEY_CHARS]


def payload(content_type: str, body: bytes) -> str:
    """Convert the body to JSON text: a form becomes an object, an empty body an empty object.  Raises BadHook."""
    type = media_type(content_type)
    if not body.strip():
        return "{}"
    if type == JSON or type.endswith("+json") or not type:
        return _json(body)
    if type == FORM:
        # `curl -d '{"a": 1}'` labels JSON as a form.
        return _json(body) if body.lstrip()[:1] in (b"{", b"[") else _form(body)
    raise BadHook("media_type", f"The body must be {JSON} or {FORM}.")


def _json(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
        value = msgspec.json.decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        raise BadHook("body", "The body is not JSON in UTF-8.") from None
    if text.count("{") + text.count("[") > DEEPEST and _is_deep(value):
        raise BadHook("body", f"The body is nested deeper than {DEEPEST} levels.")
    return text


def _is_deep(value: Any) -> bool:
    """Return whether JSON is nested deeper than all parsers, ours and our customers', reliably read."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _form(body: bytes) -> str:
    """Convert a form to an object of its fields; a repeated field becomes a list."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
    except (ValueError, UnicodeDecodeError):
        raise BadHook("body", f"The body is not a form in UTF-8 of at most {MOST_FIELDS} fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return msgspec.json.encode(
        {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    ).decode()


def key_of(idempotency_key: str, webhook_id: str, payload: str, id_field: str, *, is_signed: bool) -> Key | None:
    """Return the idempotency key of a request, or None.

    The key of a signed request must be signed too.  Otherwise a recorded request could be replayed under another key.
    """
    if is_signed:
        return Key("webhook-id", webhook_id)
    if idempotency_key:
        return Key("idempotency-key", idempotency_key)
    if webhook_id:
        return Key("webhook-id", webhook_id)
    if id_field and (member := _member(payload, id_field)):
        return Key("id_field", member)
    return None


def _member(payload: str, name: str) -> str:
    """Return a member of an object that is a text or number, as text; empty if there is none."""
    value: Any = msgspec.json.decode(payload)
    member = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(member, bool) or not isinstance(member, str | int | float):
        return ""
    return str(member)


def require_signed(
    keys: Sequence[bytes], signed: Signed | None, body: bytes, now_seconds: float, tolerance_seconds: float
) -> None:
    """Check that one of the keys has signed the body with its id and a recent time.  Raises BadHook."""
    if signed is None:
        raise BadHook("signature", "The headers webhook-id, webhook-timestamp and webhook-signature are required.")
    if not math.fabs(now_seconds - _seconds(signed.timestamp)) <= tolerance_seconds:
        raise BadHook("signature", "webhook-timestamp is too far from now.")
    sent = [standardwebhooks.decoded(part[3:]) for part in signed.signature.split(" ") if part.startswith("v1,")][
        :MOST_SIGNATURES
    ]
    expected = [standardwebhooks.signature(key, signed.id, signed.timestamp, body) for key in keys]
    if not any(secrets.is_equal(one, other) for one in expected for other in sent):
        raise BadHook("signature", "webhook-signature is not a signature of this body.")


def _seconds(timestamp: str) -> float:
    return float(timestamp) if timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16 else math.inf
