"""What is sent to a connector, what its answer means, and when it is asked again: pure."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from control.base import egress
from control.base.egress import Outside
from control.base.job import Job
from hum.errors import FieldError, InvalidRequest
from hum.validation import bad_email

#: A connector that answers slowly holds few workers: `storage.crm_syncs.AT_ONCE` of them, until it rests.
SYNC = Job("crm_sync", concurrency=48, per_organization=6, timeout_seconds=240)
#: After that a job counts as lost.
JOB_LOST = timedelta(minutes=5)
USER_AGENT = "bluehive-hum-crm/1.0"
SECRET_PREFIX = "crmsec_"  # noqa: S105 - no secret
DEFAULT_TIMEOUT_MS = 4000
ANSWER_BYTES = 64 << 10
#: Of requests and answers, so much is kept in the log.
LOG_CHARS = 8_000
MOST_NAME_CHARS, MOST_ID_CHARS, MOST_ATTRIBUTES_CHARS = 200, 200, 8_000
MOST_ATTRIBUTES = 100
HIDDEN = "[secret]"
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: What the CRM's layer of a contact holds.
FIELDS = ("name", "email", "company", "attributes_json")
#: Seconds before the next attempts; then the last one again and again.
DELAYS_SECONDS = (10, 60, 300, 900, 1800, 3600)
MOST_RETRY_AFTER_SECONDS = 3600
#: Answers that another attempt would get too.
REFUSALS = frozenset({400, 413, 415, 422})
#: Answers of a connector that does not know the secret.
UNAUTHORIZED = frozenset({401, 403})
#: For so long a call waits for its contact to be created first.
CONTACT_FIRST = timedelta(minutes=15)
CONTACT_FIRST_SECONDS = 5


class Event(StrEnum):
    """What a request is about: its `X-HUM-Event`."""

    LOOKUP = "contact.lookup"
    CREATE = "contact.create"
    CALL = "call.sync"
    CONVERSATION = "conversation.sync"
    PING = "ping"


PATHS = {
    Event.LOOKUP: "/contacts/lookup",
    Event.CREATE: "/contacts",
    Event.CALL: "/calls",
    Event.CONVERSATION: "/conversations",
    Event.PING: "/ping",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A contact as a connector knows it; fields of `FIELDS`."""

    id: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer means."""

    outcome: str  # as the log has it: ok, not_found, failed
    reason: str | None = None
    message: str | None = None
    found: Found | None = None

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"


# --- what is sent -------------------------------------------------------------------------------------------------


def base_url(text: str) -> str:
    """The base URL as it is stored.  Raises InvalidRequest."""
    try:
        egress.parse_url(text)
    except Outside as error:
        raise InvalidRequest([FieldError("connector.base_url", error.message)]) from error
    parts = urlsplit(text)
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise InvalidRequest([FieldError("connector.base_url", "must have no query and no fragment")])
    return text.rstrip("/")


def lookup_body(phone_e164: str, direction: str, call_id: str | None) -> dict[str, Any]:
    return {"phone": phone_e164, "direction": direction, "call_id": call_id}


def create_body(phone_e164: str, contact: Mapping[str, str | None]) -> dict[str, Any]:
    attributes = contact.get("attributes_json")
    return {
        "phone": phone_e164,
        "contact": {
            "name": contact.get("name"),
            "email": contact.get("email"),
            "company": contact.get("company"),
            "attributes": json.loads(attributes) if attributes else {},
        },
    }


def written(body: Mapping[str, Any]) -> bytes:
    """A body as it is signed and sent."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def parsed(outcome: str | None) -> Any:
    """A call's outcome, as JSON."""
    return json.loads(outcome) if outcome else None


# --- what the answer means ----------------------------------------------------------------------------------------


def failed(reason: str, message: str) -> Reply:
    return Reply("failed", reason, message)


def read(event: Event, status: int, body: bytes, *, truncated: bool) -> Reply:
    """An answer to a request."""
    if event is Event.LOOKUP and status == 404:
        return Reply("not_found")
    if 300 <= status < 400:
        return failed("redirect", f"The connector answered {status}, a redirect; none is followed.")
    if not 200 <= status < 300:
        if event in {Event.CALL, Event.CONVERSATION} and status == 409:
            return Reply("ok", message="It was known there already.")
        return failed("http_status", f"The connector answered {status}.")
    if truncated:
        return failed("too_large", f"The answer is larger than {ANSWER_BYTES} bytes.")
    match event:
        case Event.LOOKUP:
            return _looked_up(body)
        case Event.CREATE:
            return _created(body)
        case _:
            return Reply("ok")


def _object(body: bytes) -> dict[str, Any] | Reply:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return failed("not_json", "The answer is not JSON.")
    return found if isinstance(found, dict) else failed("invalid_answer", "The answer is not a JSON object.")


def _looked_up(body: bytes) -> Reply:
    answer = _object(body)
    if isinstance(answer, Reply):
        return answer
    found, contact = answer.get("found"), answer.get("contact")
    if found is False:
        return Reply("not_found")
    if found is not True:
        return failed("invalid_answer", "`found` is neither true nor false.")
    if not isinstance(contact, dict):
        return failed("invalid_answer", "`contact` is not an object.")
    known, problems = contact_of(contact)
    return Reply("ok", message=_listed(problems), found=known)


def _created(body: bytes) -> Reply:
    answer = _object(body)
    if isinstance(answer, Reply):
        return answer
    contact = answer.get("contact")
    id = _id(contact.get("id")) if isinstance(contact, dict) else None
    if id is None:
        return failed("invalid_answer", "`contact.id` is missing or not valid.")
    return Reply("ok", found=Found(id))


def contact_of(contact: Mapping[str, Any]) -> tuple[Found, list[str]]:
    """A contact in an answer, and what in it is not used because it is not valid."""
    fields, problems = dict[str, str](), list[str]()
    for name, reader in (("name", _line), ("email", _email), ("company", _line), ("attributes", _attributes)):
        value = contact.get(name)
        if value in (None, "", {}):
            continue
        known = reader(value)
        if known is None:
            problems.append(name)
        else:
            fields["attributes_json" if name == "attributes" else name] = known
    id = _id(contact.get("id"))
    if id is None and contact.get("id") is not None:
        problems.insert(0, "id")
    return Found(id, fields), problems


def _id(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= MOST_ID_CHARS and _is_text(text) else None


def _line(value: object) -> str | None:
    """One line of text: runs of spaces become one."""
    if not isinstance(value, str):
        return None
    line = " ".join(value.split())
    return line if 0 < len(line) <= MOST_NAME_CHARS and _is_text(line) else None


def _email(value: object) -> str | None:
    return value if isinstance(value, str) and _is_text(value) and not bad_email(value) else None


def _attributes(value: object) -> str | None:
    if not isinstance(value, dict) or len(value) > MOST_ATTRIBUTES:
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return None
    return text if len(text) <= MOST_ATTRIBUTES_CHARS and "\\u0000" not in text and _is_storable(text) else None


def _is_text(text: str) -> bool:
    """Whether a text has no control characters, no half of a surrogate pair, and nothing that turns its direction."""
    return not any(unicodedata.category(char) in {"Cc", "Cs"} or char in TURNING for char in text)


def _is_storable(text: str) -> bool:
    return not any(char == "\0" or 0xD800 <= ord(char) <= 0xDFFF for char in text)


def _listed(problems: Sequence[str]) -> str | None:
    return f"Not valid, and not used: {', '.join(problems)}." if problems else None


def shown(body: bytes, secrets: Sequence[str]) -> str:
    """The beginning of a body for the log, without the secrets that a connector may repeat."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text[:LOG_CHARS].replace("\0", "�")


# --- who is believed ----------------------------------------------------------------------------------------------


def believed(replies: Sequence[Reply | None], *, waited: bool) -> int | None:
    """Which connector is believed, in their order: the first that knows the caller.

    None while one before it may still answer (`waited`: that was waited for), or if none knows the caller.
    """
    for index, reply in enumerate(replies):
        if reply is None:
            if not waited:
                return None
        elif reply.found is not None:
            return index
    return None


# --- when it is asked again ---------------------------------------------------------------------------------------


def delay_seconds(attempts: int) -> float:
    """How long to wait after so many attempts, from one."""
    return DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1]


def next_attempt(
    attempts: int, began: datetime, at: datetime, retry_for: timedelta, after_seconds: float
) -> datetime | None:
    """When to try again after so many attempts; None when the time for that is over."""
    due = at + timedelta(seconds=max(delay_seconds(attempts), min(after_seconds, MOST_RETRY_AFTER_SECONDS)))
    return due if due < began + retry_for else None


def is_refusal(status: int | None) -> bool:
    """Whether another attempt would fare no better."""
    return status in REFUSALS


def retry_after_seconds(text: str | None) -> float:
    """A `Retry-After` in seconds; 0 for a date, or nothing sensible."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0.0
