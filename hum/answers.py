"""Answers of the deployment's own providers: payments, carrier, model, issuers, store.

The operator names their hosts, and their libraries read an answer whole and parse it: these bound its bytes, and count its JSON, before.
"""

from collections.abc import AsyncIterable

from hum.json import outside

#: The most of an answer in JSON: its bytes, its members at all depths, and its levels.
MOST_BYTES, MOST_MEMBERS, MOST_LEVELS = 4 << 20, 50_000, 64


class BadAnswer(ValueError):  # noqa: N818 - it says what it is
    """An answer is larger than any that its reader expects; the message says how."""


async def read(parts: AsyncIterable[bytes], most_bytes: int = MOST_BYTES) -> bytes:
    """Return the whole of an answer.  Raises BadAnswer beyond `most_bytes`; the caller closes its connection then."""
    whole = bytearray()
    async for part in parts:
        whole += part
        if len(whole) > most_bytes:
            raise BadAnswer(f"an answer of more than {most_bytes} bytes")
    return bytes(whole)


def require_few(body: bytes, most_members: int = MOST_MEMBERS) -> None:
    """Raise BadAnswer if an answer in JSON has more members or levels than any that is expected.  It need not be valid."""
    try:
        outside.require_few(body, most_members, MOST_LEVELS)
    except outside.TooMuch as error:
        raise BadAnswer(f"an answer that {error}") from None
