"""Between the contract's types and what the database keeps: enums are lower-case words, times are aware datetimes."""

from datetime import UTC, datetime
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp


class Enum(Protocol):
    """An enum of the contract, as protobuf makes it."""

    def Name(self, number: Any) -> str: ...
    def Value(self, name: str) -> Any: ...


def word(enum: Enum, value: int) -> str | None:
    """`CALL_STATUS_IN_PROGRESS` as `in_progress`; None for the unspecified."""
    return enum.Name(value).removeprefix(prefix(enum)).lower() if value else None


def value(enum: Enum, word: str | None) -> Any:
    """`in_progress` as `CALL_STATUS_IN_PROGRESS`; unspecified for None."""
    return enum.Value(prefix(enum) + word.upper()) if word else 0


def prefix(enum: Enum) -> str:
    """The common prefix of an enum's names."""
    return enum.Name(0).removesuffix("UNSPECIFIED")


def timestamp(at: datetime | None) -> Timestamp | None:
    """A time as the contract sends it."""
    if at is None:
        return None
    sent = Timestamp()
    sent.FromDatetime(at)
    return sent


def rfc3339(at: datetime, timespec: str = "auto") -> str:
    """A time as JSON has it; `timespec` as of `datetime.isoformat`."""
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def moment(sent: Timestamp) -> datetime:
    """A time that the contract sent."""
    return sent.ToDatetime(UTC)
