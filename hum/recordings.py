"""The names of a call's recordings: the media plane writes them, and control deletes those of a deleted call."""

import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from hum import ids
from hum.ids import Kind

#: The suffix of a recording's peaks after its own name.
PEAKS = ".peaks"
#: A recording or a message of a call, with or without peaks; and a file of a text.
_OF_CALL = re.compile(rf"(org_\w+)/(call_[A-Z0-9]+)(?:\.[a-z0-9]+)?\.wav(?:{re.escape(PEAKS)})?")
_OF_TEXT = re.compile(r"(org_\w+)/texts/(\w+)\.[0-9]{1,3}")
TOKEN_BYTES = 8


class RecordingOwner(NamedTuple):
    """The owner of a file: a call, or a message."""

    org_id: UUID
    kind: Kind
    id: UUID


def names(organization_id: str, call_id: str) -> Iterator[str]:
    """Yield paths below the folder of recordings: for the call's first stream, its second, and so on without end."""
    yield f"{organization_id}/{call_id}.wav"
    number = 2
    while True:
        yield f"{organization_id}/{call_id}.{number}.wav"
        number += 1


def unique_names(organization_id: str, call_id: str) -> Iterator[str]:
    """Yield unique paths, for a bucket: a machine can't see whether another one has used a numbered name."""
    while True:
        yield f"{organization_id}/{call_id}.{secrets.token_hex(TOKEN_BYTES)}.wav"


def prefix(organization_id: str, call_id: str) -> str:
    """Return the prefix of the paths of all recordings of a call, and of no other call's."""
    return f"{organization_id}/{call_id}."


def owner(path: str) -> RecordingOwner | None:
    """Return the owner of a file, by its path; None for a path that is not in our format."""
    for pattern, kind in ((_OF_CALL, Kind.CALL), (_OF_TEXT, Kind.MESSAGE)):
        if (match := pattern.fullmatch(path)) is not None:
            org, id = ids.parse(Kind.ORGANIZATION, match[1]), ids.parse(kind, match[2])
            return RecordingOwner(org, kind, id) if org is not None and id is not None else None
    return None
