"""Bodies of requests to connectors, the meaning of their answers, precedence, and retries: pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from control.base.egress import EgressError, Policy
from control.base.job import Job
from hum.contract.errors import FieldError, InvalidRequest
from hum.contract.validation import bad_email
from hum.visibletext import is_visible

#: A slow connector occupies at most `storage.crm_syncs.AT_ONCE` workers, until it rests.
SYNC = Job("crm_sync", concurrency=48, per_organization=6, timeout_seconds=240)
#: The age after which a job counts as lost.
JOB_LOST = timedelta(minutes=5)
USER_AGENT = "bluehive-hum-crm/1.0"
SECRET_PREFIX = "crmsec_"  # noqa: S105 - no secret
DEFAULT_TIMEOUT_MS = 4000
ANSWER_BYTES = 64 << 10
#: Characters of a request or an answer that are logged.
LOG_CHARS = 8_000
MOST_NAME_CHARS, MOST_ID_CHARS, MOST_ATTRIBUTES_CHARS = 200, 200, 8_000
MOST_ATTRIBUTES = 100
HIDDEN = "[secret]"
#: The fields of a contact's CRM layer.
FIELDS = ("name", "email", "company", "attributes_json")
#: Back-off before each further attempt; the last one repeats.
DELAYS_SECONDS = (10, 60, 300, 900, 1800, 3600)
MOST_RETRY_AFTER_SECONDS = 3600
#: Statuses that make a retry pointless.
REFUSALS = frozenset({400, 413, 415, 422})
#: Statuses of a connector that rejects the secret.
UNAUTHORIZED = frozenset({401, 403})
#: How long the sync of a call waits until its contact is created, and the interval of its checks.
CONTACT_FIRST = timedelta(minutes=15)
CONTACT_FIRST_SECONDS = 5


class ConnectorEvent(StrEnum):
    """The event of a request: its `X-HUM-Event`."""

    LOOKUP = "contact.lookup"
    CREATE = "contact.create"
    CALL = "call.sync"
    CONVERSATION = "conversation.sync"
    PING = "ping"


PATHS = {
    ConnectorEvent.LOOKUP: "/contacts/lookup",
    ConnectorEvent.CREATE: "/contacts",
    ConnectorEvent.CALL: "/calls",
    ConnectorEvent.CONVERSATION: "/conversations",
    ConnectorEvent.PING: "/ping",
}


@dataclass(frozen=True, slots=True)
class CrmContact:
    """A connector's contact: its id there, and values of `FIELDS`."""

    id: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectorReply:
    """The meaning of an answer."""

    outcome: str  # ok, not_found or failed, as in the log
    reason: str | None = None
    message: str | None = None
    contact: CrmContact | None = None

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"


# --- requests -----------------------------------------------------------------------------------------------------


def base_url(text: str, policy: Policy) -> str:
    """Normalize a base URL.  Raises InvalidRequest for one that could never be called."""
    try:
        policy.check_url(text)
    except EgressError as error:
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


def encoded(body: Mapping[str, Any]) -> bytes:
    """Encode a body for signing and sending."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def parsed_outcome(outcome: str | None) -> Any:
    """Parse a call's outcome from JSON."""
    return json.loads(outcome) if outcome else None


# --- answers ------------------------------------------------------------------------------------------------------


def failed(reason: str, message: str) -> ConnectorReply:
    return ConnectorReply("failed", reason, message)


def interpret(event: ConnectorEvent, status: int, body: bytes, *, truncated: bool) -> ConnectorReply:
    """Interpret a connector's answer."""
    if event is ConnectorEvent.LOOKUP and status == 404:
        return ConnectorReply("not_found")
    if 300 <= status < 400:
        return failed("redirect", f"The connector answered {status}, a redirect; none is followed.")
    if not 200 <= status < 300:
        if event in {ConnectorEvent.CALL, ConnectorEvent.CONVERSATION} and status == 409:
            return ConnectorReply("ok", message="It was known there already.")
        return failed("http_status", f"The connector answered {status}.")
    if truncated:
        return failed("too_large", f"The answer is larger than {ANSWER_BYTES} bytes.")
    match event:
        case ConnectorEvent.LOOKUP:
            return _looked_up(body)
        case ConnectorEvent.CREATE:
            return _created(body)
        case _:
            return ConnectorReply("ok")


def _object(body: bytes) -> dict[str, Any] | ConnectorReply:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return failed("not_json", "The answer is not JSON.")
    return value if isinstance(value, dict) else failed("invalid_answer", "The answer is not a JSON object.")


def _looked_up(body: bytes) -> ConnectorReply:
    answer = _object(body)
    if isinstance(answer, ConnectorReply):
        return answer
    is_found, contact = answer.get("found"), answer.get("contact")
    if is_found is False:
        return ConnectorReply("not_found")
    if is_found is not True:
        return failed("invalid_answer", "`found` is neither true nor false.")
    if not isinstance(contact, dict):
        return failed("invalid_answer", "`contact` is not an object.")
    crm_contact, problems = contact_of(contact)
    return ConnectorReply("ok", message=_complaint(problems), contact=crm_contact)


def _created(body: bytes) -> ConnectorReply:
    answer = _object(body)
    if isinstance(answer, ConnectorReply):
        return answer
    contact = answer.get("contact")
    id = _id(contact.get("id")) if isinstance(contact, dict) else None
    if id is None:
        return failed("invalid_answer", "`contact.id` is missing or not valid.")
    return ConnectorReply("ok", contact=CrmContact(id))


def contact_of(contact: Mapping[str, Any]) -> tuple[CrmContact, list[str]]:
    """Read the contact of an answer; return it with the names of fields that are ignored as invalid."""
    fields, problems = dict[str, str](), list[str]()
    for name, reader in (("name", _line), ("email", _email), ("company", _line), ("attributes", _attributes)):
        value = contact.get(name)
        if value in (None, "", {}):
            continue
        text = reader(value)
        if text is None:
            problems.append(name)
        else:
            fields["attributes_json" if name == "attributes" else name] = text
    id = _id(contact.get("id"))
    if id is None and contact.get("id") is not None:
        problems.insert(0, "id")
    return CrmContact(id, fields), problems


def _id(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= MOST_ID_CHARS and is_visible(text) else None


def _line(value: object) -> str | None:
    """Return a value as one line, with runs of spaces collapsed; None if it is not acceptable."""
    if not isinstance(value, str):
        return None
    line = " ".join(value.split())
    return line if 0 < len(line) <= MOST_NAME_CHARS and is_visible(line) else None


def _email(value: object) -> str | None:
    return value if isinstance(value, str) and is_visible(value) and not bad_email(value) else None


def _attributes(value: object) -> str | None:
    if not isinstance(value, dict) or len(value) > MOST_ATTRIBUTES:
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return None
    return text if len(text) <= MOST_ATTRIBUTES_CHARS and "\\u0000" not in text and _is_storable(text) else None


def _is_storable(text: str) -> bool:
    return not any(char == "\0" or 0xD800 <= ord(char) <= 0xDFFF for char in text)


def _complaint(problems: Sequence[str]) -> str | None:
    return f"Not valid, and not used: {', '.join(problems)}." if problems else None


def redacted(body: bytes, secrets: Sequence[str]) -> str:
    """Return the beginning of a body for the log, without secrets that the connector may have echoed."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text[:LOG_CHARS].replace("\0", "�")


# --- precedence ---------------------------------------------------------------------------------------------------


def winner(replies: Sequence[ConnectorReply | None], *, waited: bool) -> int | None:
    """Return the index of the first connector, in their order, that knows the caller.

    Return None if none does, or while one before it may still answer; `waited`: do not wait for those any more.
    """
    for index, reply in enumerate(replies):
        if reply is None:
            if not waited:
                return None
        elif reply.contact is not None:
            return index
    return None


# --- retries ------------------------------------------------------------------------------------------------------


def delay_seconds(attempts: int) -> float:
    """Return the back-off after `attempts` attempts (at least 1)."""
    return DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1]


def next_attempt(
    attempts: int, began: datetime, at: datetime, retry_for: timedelta, after_seconds: float
) -> datetime | None:
    """Return the time of the next attempt; None if the retry period is over."""
    due = at + timedelta(seconds=max(delay_seconds(attempts), min(after_seconds, MOST_RETRY_AFTER_SECONDS)))
    return due if due < began + retry_for else None


def is_refusal(status: int | None) -> bool:
    """Return whether a retry is pointless."""
    return status in REFUSALS


def retry_after_seconds(text: str | None) -> float:
    """Parse `Retry-After` in seconds; return 0.0 for a date or an invalid value."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0.0
