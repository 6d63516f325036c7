"""What a call's recordings are called: the media plane writes them, and control deletes those of a deleted call."""

import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from hum import ids
from hum.ids import Kind

#: What a recording's peaks are called after its own name.
PEAKS = ".peaks"
#: A recording or a message of a call, with or without peaks; and a file of a text.
_OF_CALL = re.compile(rf"(org_\w+)/(call_[A-Z0-9]+)(?:\.[a-z0-9]+)?\.wav(?:{re.escape(PEAKS)})?")
_OF_TEXT = re.compile(r"(org_\w+)/texts/(\w+)\.[0-9]{1,3}")
TOKEN_BYTES = 8


class Owner(NamedTuple):
    """What a file belongs to: a call, or a message."""

    org_id: UUID
    kind: Kind
    id: UUID


def names(organization_id: str, call_id: str) -> Iterator[str]:
    """Paths below the folder of recordings: of the call's first stream, of its second, and so on without end."""
    yield f"{organization_id}/{call_id}.wav"
    number = 2
    while True:
        yield f"{organization_id}/{call_id}.{number}.wav"
        number += 1


def unique_names(organization_id: str, call_id: str) -> Iterator[str]:
    """Paths that no other machine makes, and none makes again: for where not all of a call's recordings can be seen."""
    while True:
        yield f"{organization_id}/{call_id}.{secrets.token_hex(TOKEN_BYTES)}.wav"


def beginning(organization_id: str, call_id: str) -> str:
    """What the paths of all of a call's recordings begin with, and no other call's."""
    return f"{organization_id}/{call_id}."


def owner(path: str) -> Owner | None:
    """What a file belongs to, by its path; None for a file that is none of ours."""
    for pattern, kind in ((_OF_CALL, Kind.CALL), (_OF_TEXT, Kind.MESSAGE)):
        if (found := pattern.fullmatch(path)) is not None:
            org, id = ids.parse(Kind.ORGANIZATION, found[1]), ids.parse(kind, found[2])
            return Owner(org, kind, id) if org is not None and id is not None else None
    return None
