"""Links by which the carrier fetches the files of texts: each is signed, opens one file, and expires.  Pure."""

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hum.secrets import is_equal, sign

#: The carrier fetches a text's files when it sends the text, which waits in its queue for up to ten hours.
LIFETIME = timedelta(hours=12)
#: Message, index of the file, and the second in which the link expires.
BODY = struct.Struct(">16sHI")
TAG_BYTES = 32


class FileLinks:
    """The links' tokens.  `keys`: the deployment's, newest first; the first signs, and each opens."""

    def __init__(self, keys: Sequence[bytes], url: str = "") -> None:
        self._keys, self._url = [sign(key, b"hum text file") for key in keys], url

    def make(self, message: UUID, index: int, at: datetime) -> str:
        """Return the link of a file, for `LIFETIME`."""
        body = BODY.pack(message.bytes, index, int((at + LIFETIME).timestamp()))
        token = base64.urlsafe_b64encode(body + sign(self._keys[0], body)).decode().rstrip("=")
        return self._url + token

    def read(self, token: str, at: datetime) -> tuple[UUID, int] | None:
        """Return the message and the index of the file that a token opens; None if it opens none, or none any more."""
        try:
            blob = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        body, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        if len(body) != BODY.size or not any([is_equal(tag, sign(key, body)) for key in self._keys]):  # noqa: C419
            return None
        message, index, expires = BODY.unpack(body)
        return None if at >= datetime.fromtimestamp(expires, UTC) else (UUID(bytes=message), index)
