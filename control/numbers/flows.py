"""The flows that a number answers with."""

from uuid import UUID

from hum import ids
from hum.contract.errors import FieldError, InvalidRequest, NotFound
from hum.ids import Kind
from storage import flows
from storage.db import Tx


async def own_flow(tx: Tx, name: str, field: str, channel: str) -> UUID | None:
    """Return the id of the flow in a request's field, which must be of that channel; None if empty.  Raises InvalidRequest."""
    if not name:
        return None
    id = ids.parse(Kind.FLOW, name)
    try:
        flow = await flows.get(tx, id) if id else None
    except NotFound:
        flow = None
    if flow is None:
        raise InvalidRequest([FieldError(field, "does not exist")])
    if flow.channel != channel:
        raise InvalidRequest([FieldError(field, f"must be a flow of the channel {channel}")])
    return id
