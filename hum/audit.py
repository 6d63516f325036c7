"""The hash chain of the audit log: each entry's hash covers the entry and its predecessor's hash.

A change, a removal or an insertion anywhere before the newest hash changes that hash, so anyone who recorded it can
detect tampering.  The hash covers exactly what is stored and exported.  Each field is prefixed with its length, so that
no two entries have the same encoding; times are whole microseconds, as the database stores them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: The predecessor's hash of an organization's first entry.
GENESIS = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, as it is stored."""

    organization: str  # `org_...`
    at: datetime
    actor: str
    actor_name: str
    action: str
    subject: str
    fields: Sequence[str]
    request_id: str


class BrokenChain(Exception):  # noqa: N818 - the chain is broken, not the code
    """The chain is broken; the message names the first bad line."""


def link(previous: bytes, seq: int, entry: AuditEntry) -> bytes:
    """Return the SHA-256 hash of an entry with this number and predecessor."""
    parts = (
        str(seq),
        entry.organization,
        str((entry.at - _EPOCH) // datetime.resolution),
        entry.actor,
        entry.actor_name,
        entry.action,
        entry.subject,
        str(len(entry.fields)),
        *entry.fields,
        entry.request_id,
    )
    digest = hashlib.sha256(previous)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.digest()


def line(seq: int, entry: AuditEntry, previous: bytes, hash: bytes) -> bytes:
    """Return an entry as a line of the export: one JSON object and a newline."""
    members: dict[str, Any] = {
        "seq": seq,
        "organization": entry.organization,
        "at_us": (entry.at - _EPOCH) // datetime.resolution,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": entry.actor,
        "actor_name": entry.actor_name,
        "action": entry.action,
        "subject": entry.subject,
        "fields": list(entry.fields),
        "request_id": entry.request_id,
        "previous_hash": previous.hex(),
        "hash": hash.hex(),
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a valid chain.  Record it: a later export must contain it."""

    organization: str
    seq: int
    hash: str


def verify(lines: Iterable[str | bytes], *, expected: str = "") -> Head:
    """Check an export and return its head.  Raises BrokenChain.

    `expected` is a hash, in hexadecimal, that was recorded earlier and must be among the entries: an export that was
    truncated or forged from the start has a valid chain, but not that hash.
    """
    previous, head, seen = GENESIS, None, not expected
    for number, text in enumerate(lines, start=1):
        members = _members(number, text)
        seq, entry, recorded = members["seq"], _entry(number, members), members["hash"]
        if seq != number:
            raise BrokenChain(f"line {number}: the entry is number {seq}; entries are missing or were added")
        if members["previous_hash"] != previous.hex():
            raise BrokenChain(f"line {number}: it does not follow the line before it")
        if head is not None and entry.organization != head.organization:
            raise BrokenChain(f"line {number}: it belongs to another organization")
        computed = link(previous, seq, entry)
        if recorded != computed.hex():
            raise BrokenChain(f"line {number}: it was changed after it was sealed")
        previous, head, seen = computed, Head(entry.organization, seq, recorded), seen or recorded == expected
    if head is None:
        raise BrokenChain("there are no entries")
    if not seen:
        raise BrokenChain("the expected hash is not in this chain")
    return head


def _members(number: int, text: str | bytes) -> Mapping[str, Any]:
    try:
        members = json.loads(text)
    except ValueError:
        raise BrokenChain(f"line {number}: it is not JSON") from None
    if not isinstance(members, dict):
        raise BrokenChain(f"line {number}: it is not a JSON object")
    return members


def _entry(number: int, members: Mapping[str, Any]) -> AuditEntry:
    try:
        at = _EPOCH + int(members["at_us"]) * datetime.resolution
        entry = AuditEntry(
            at=at,
            fields=[str(field) for field in members["fields"]],
            **{name: str(members[name]) for name in _TEXTS},
        )
        if members["at"] != at.isoformat(timespec="microseconds").replace("+00:00", "Z"):
            raise BrokenChain(f"line {number}: `at` and `at_us` differ")
        _ = members["seq"], members["hash"], members["previous_hash"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BrokenChain(f"line {number}: a member is missing or invalid: {error}") from error
    return entry


_TEXTS = ("organization", "actor", "actor_name", "action", "subject", "request_id")
