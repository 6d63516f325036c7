"""Conversion between the contract's types and the database's: enums are lower-case words, times are aware datetimes."""

from datetime import UTC, datetime
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp


class Enum(Protocol):
    """An enum of the contract, as protobuf generates it."""

    def Name(self, number: Any) -> str: ...
    def Value(self, name: str) -> Any: ...


def word(enum: Enum, value: int) -> str | None:
    """Convert `CALL_STATUS_IN_PROGRESS` to `in_progress`, and the unspecified value to None."""
    return enum.Name(value).removeprefix(prefix(enum)).lower() if value else None


def value(enum: Enum, word: str | None) -> Any:
    """Convert `in_progress` to `CALL_STATUS_IN_PROGRESS`, and None to the unspecified value."""
    return enum.Value(prefix(enum) + word.upper()) if word else 0


def prefix(enum: Enum) -> str:
    """Return the common prefix of an enum's names."""
    return enum.Name(0).removesuffix("UNSPECIFIED")


def timestamp(at: datetime | None) -> Timestamp | None:
    """Convert a time to the contract's type."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def rfc3339(at: datetime, timespec: str = "auto") -> str:
    """Format a time as in JSON; `timespec` as in `datetime.isoformat`."""
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def moment(stamp: Timestamp) -> datetime:
    """Convert a time from the contract's type to an aware datetime."""
    return stamp.ToDatetime(UTC)
