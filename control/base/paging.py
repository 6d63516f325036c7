"""Cursors: where a list continues.  Opaque, tamper-proof, bound to the list and its filter; they grant no access."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from google.protobuf.message import Message

from hum.errors import InvalidCursor
from hum.secrets import same, sign

Part = int | str | UUID | datetime
RowT = TypeVar("RowT")

DEFAULT_LIMIT = 50
TAG_BYTES = 12
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ListRequest(Protocol):
    """A request for a page of a list."""

    cursor: str
    limit: int

    def HasField(self, field_name: Any) -> bool: ...


class Cursors:
    """Makes and reads cursors with the deployment's key."""

    def __init__(self, key: bytes) -> None:
        self._key = sign(key, b"hum cursor")

    def make(self, request: Message, *place: Part) -> str:
        """A cursor for the row at `place`, the list's sort key."""
        body = json.dumps([_pack(part) for part in place], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(body + self._tag(request, body)).decode().rstrip("=")

    def read(self, request: Message) -> Sequence[Any] | None:
        """The place that the request's cursor names; None without one.  Raises InvalidCursor."""
        text: str = getattr(request, "cursor", "")
        if not text:
            return None
        try:
            blob = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor("The cursor is invalid.") from error
        body, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        if not same(tag, self._tag(request, body)):
            raise InvalidCursor("The cursor is invalid, or belongs to another list or filter.")
        return [_unpack(part) for part in json.loads(body)]

    def after(self, request: Message) -> Any:
        """As `read`, for lists that are sorted by one column: its value, or None."""
        place = self.read(request)
        return place[0] if place else None

    def cut(
        self, request: ListRequest, found: Sequence[RowT], place: Callable[[RowT], tuple[Part, ...]]
    ) -> tuple[Sequence[RowT], str | None]:
        """Of up to `rows_to_fetch` rows, those of this page, and the cursor of the next page, if there is one."""
        limit = limit_of(request)
        if len(found) <= limit:
            return found, None
        return found[:limit], self.make(cast("Message", request), *place(found[limit - 1]))

    def _tag(self, request: Message, body: bytes) -> bytes:
        bare = type(request)()
        bare.CopyFrom(request)
        bare.ClearField("cursor")
        bare.ClearField("limit")  # the page size may change between pages
        about = hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()
        return sign(self._key, request.DESCRIPTOR.full_name.encode() + about + body)[:TAG_BYTES]


def limit_of(request: ListRequest) -> int:
    """How many rows the client wants."""
    return request.limit if request.HasField("limit") else DEFAULT_LIMIT


def rows_to_fetch(request: ListRequest) -> int:
    """One more than the page holds: it shows whether there is another page."""
    return limit_of(request) + 1


def _pack(part: Part) -> Any:
    if isinstance(part, UUID):
        return {"id": part.hex}
    if isinstance(part, datetime):
        # PostgreSQL keeps microseconds; a float would lose them.
        return {"us": (part - EPOCH) // (datetime.resolution)}
    return part


def _unpack(part: Any) -> Any:
    match part:
        case {"id": hexadecimal}:
            return UUID(hexadecimal)
        case {"us": microseconds}:
            return EPOCH + microseconds * datetime.resolution
    return part
