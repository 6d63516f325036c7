"""Which webhook gets an event.  Pure."""

from collections.abc import Iterable, Sequence
from uuid import UUID

#: The prefix of triggers' events.  Organizations choose their names.
EXTERNAL = "external."


def is_type(pattern: str, types: Iterable[str]) -> bool:
    """Return whether a pattern matches any of these types of events."""
    if pattern.startswith(EXTERNAL):
        return True
    return any(wants([pattern], type) for type in types)


def wants(patterns: Sequence[str], type: str) -> bool:
    """Return whether a pattern (`sms.received`, `sms.*`, `*`) matches a type; no patterns match all types."""
    if not patterns:
        return True
    kind = f"{type.partition('.')[0]}.*"
    return any(pattern in {"*", type, kind} for pattern in patterns)


def concerns(numbers: Sequence[UUID], flows: Sequence[UUID], place: tuple[UUID | None, UUID | None] | None) -> bool:
    """Return whether an event of this number and flow passes a webhook's filters."""
    number, flow = place or (None, None)
    return (not numbers or number in numbers) and (not flows or flow in flows)
