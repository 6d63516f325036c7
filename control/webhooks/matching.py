"""Which webhook gets an event.  Pure."""

from collections.abc import Sequence
from uuid import UUID

from hum.contract import eventtypes


def wants(patterns: Sequence[str], type: str) -> bool:
    """Return whether a pattern (`sms.received`, `sms.*`, `*`) matches a type; no patterns match all types."""
    return not patterns or any(eventtypes.matches(pattern, type) for pattern in patterns)


def concerns(numbers: Sequence[UUID], flows: Sequence[UUID], place: tuple[UUID | None, UUID | None] | None) -> bool:
    """Return whether an event of this number and flow passes a webhook's filters."""
    number, flow = place or (None, None)
    return (not numbers or number in numbers) and (not flows or flow in flows)
