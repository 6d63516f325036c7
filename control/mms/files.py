"""What files of texts are called.  Their names follow from the message, so whoever deletes one knows them."""

from uuid import UUID

from hum import ids
from hum.ids import Kind


def name_of(message: UUID, index: int) -> str:
    return f"{ids.show(Kind.MESSAGE, message)}.{index}"


def path_of(org: UUID, message: UUID, index: int) -> str:
    """Where a file is kept, below the root of recordings."""
    return f"{ids.show(Kind.ORGANIZATION, org)}/texts/{name_of(message, index)}"
