"""Calls that another media process of the same machine has now."""

from collections.abc import Sequence

from hum import ids
from hum.ids import Kind
from hum.telemetry import log
from storage import media_links
from storage.db import Db

LOG = log(__name__)


async def take(db: Db, from_node: str, node: str, call_ids: Sequence[str]) -> None:
    """Note it, so that commands go there.  What has left that process meanwhile stays as it is."""
    taken = 0
    for each in call_ids:
        id = ids.parse(Kind.CALL, each)
        if id is not None:
            async with db.system() as tx:  # one row each: reports of the same calls come in any order
                taken += await media_links.take(tx, id, from_node, node)
    LOG.info("a media process has taken calls over", node=node, from_node=from_node, calls=taken)
