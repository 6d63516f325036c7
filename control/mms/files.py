"""The names of texts' files.  Those of a received one follow from the message's id; an uploaded one has its own."""

from uuid import UUID

from hum import ids
from hum.ids import Kind


def name_of(message: UUID, index: int) -> str:
    return f"{ids.show(Kind.MESSAGE, message)}.{index}"


def path_of(org: UUID, message: UUID, index: int) -> str:
    """Return a file's path below the root of recordings."""
    return f"{ids.show(Kind.ORGANIZATION, org)}/texts/{name_of(message, index)}"


def path_of_upload(org: UUID, upload: UUID) -> str:
    """Return an uploaded file's path below the root of recordings."""
    return f"{ids.show(Kind.ORGANIZATION, org)}/texts/{ids.show(Kind.UPLOAD, upload)}"
