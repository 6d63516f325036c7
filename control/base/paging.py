"""Cursors of lists: opaque, tamper-proof, bound to the list and its filter.  They grant no access."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from google.protobuf.message import Message

from hum import pages
from hum.contract.errors import InvalidCursor
from hum.secrets import is_equal, sign

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
    """Cursors that are signed with the deployment's key."""

    def __init__(self, key: bytes) -> None:
        self._key = sign(key, b"hum cursor")

    def make(self, request: Message, *sort_key: Part) -> str:
        """Return a cursor for the row with this sort key."""
        body = json.dumps([_pack(part) for part in sort_key], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(body + self._tag(request, body)).decode().rstrip("=")

    def read(self, request: Message) -> Sequence[Any] | None:
        """Return the sort key in the request's cursor; None without a cursor.  Raises InvalidCursor."""
        text: str = getattr(request, "cursor", "")
        if not text:
            return None
        try:
            blob = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidCursor("The cursor is invalid.") from None
        body, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        if not is_equal(tag, self._tag(request, body)):
            raise InvalidCursor("The cursor is invalid, or belongs to another list or filter.")
        return [_unpack(part) for part in json.loads(body)]

    def after(self, request: Message) -> Any:
        """Return the sort key in the cursor of a list that is sorted by one column, or None.  Raises InvalidCursor."""
        sort_key = self.read(request)
        return sort_key[0] if sort_key else None

    def cut(
        self,
        request: ListRequest,
        rows: Sequence[RowT],
        sort_key: Callable[[RowT], tuple[Part, ...]],
        size: Callable[[RowT], int] | None = None,
    ) -> tuple[Sequence[RowT], str | None]:
        """Cut up to `rows_to_fetch` rows to the page; return them and the cursor of the next page, if there is one.

        With `size`, of a row in bytes, the page also ends with the row that reaches `pages.PAGE_BYTES`; its query fetches one more.
        """
        limit = limit_of(request)
        if size is not None:
            limit = pages.length(map(size, rows), limit)
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], self.make(cast("Message", request), *sort_key(rows[limit - 1]))

    def _tag(self, request: Message, body: bytes) -> bytes:
        bare = type(request)()
        bare.CopyFrom(request)
        bare.ClearField("cursor")
        bare.ClearField("limit")  # it may change between pages
        request_hash = hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()
        return sign(self._key, request.DESCRIPTOR.full_name.encode() + request_hash + body)[:TAG_BYTES]


def limit_of(request: ListRequest) -> int:
    """Return the requested number of rows, or the default."""
    return request.limit if request.HasField("limit") else DEFAULT_LIMIT


def rows_to_fetch(request: ListRequest) -> int:
    """Return the number of rows to fetch: one more than the page, which shows whether there is another page."""
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
