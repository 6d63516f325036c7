"""The handover of calls between media processes of the same machine."""

from collections.abc import Sequence

from hum import ids
from hum.ids import Kind
from hum.observe.logs import log
from storage import media_links
from storage.db import Db

LOG = log(__name__)


async def reassign(db: Db, from_node: str, node: str, call_ids: Sequence[str]) -> None:
    """Record that calls were handed over to a media process, so that commands go there.

    A call that `from_node` no longer has is left unchanged.
    """
    count = 0
    for call_id in call_ids:
        id = ids.parse(Kind.CALL, call_id)
        if id is not None:
            # One transaction for each row: reports lock rows of the same calls in any order.
            async with db.system() as tx:
                count += await media_links.move_call(tx, id, from_node, node)
    LOG.info("calls were handed over to a media process", node=node, from_node=from_node, calls=count)
