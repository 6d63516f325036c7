"""Turns and tools that a media process had not finished when it died: what was known of the turns goes into the
transcript, and the tools are lost.

They are reported twice a second and kept with the stream, until the call's next stream opens or the call ends.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from control.base.wire import moment
from control.calls import rules
from control.calls.stream import restore, stored, tell
from control.calls.turns import add_missing
from hum import ids
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import calls, under_way
from storage.db import AWAY, BUSY, Db, Tx

LOG = log(__name__)
#: Per call; nobody says more than this at once.
MAX_BYTES = 64 << 10
#: The status of a tool whose result nobody will tell.
LOST = "lost"


async def keep(db: Db, left: Sequence[pb.CallUnderWay]) -> None:
    """Keep the unfinished turns of calls; skipped while the database is away, since the next report follows at once."""
    known = [(ids.parse(Kind.CALL, call.call_id), call) for call in left]
    streams = [
        (id, call.stream_number, call.SerializeToString())
        for id, call in known
        if id is not None and call.ByteSize() <= MAX_BYTES
    ]
    if not streams:
        return
    try:
        async with db.system() as tx:
            await under_way.keep(tx, streams)
    except (*AWAY, *BUSY) as error:
        LOG.warning("unfinished turns are not kept", calls=len(streams), error=repr(error)[:200])


async def settle(tx: Tx, org: UUID, call: UUID, last_stream: int, at: datetime) -> datetime | None:
    """Add what the streams of a locked call left unfinished, up to `last_stream`, to its transcript; and end their tools.

    Return when the last stream's unfinished turns were reported; None if it had none.
    """
    rows = await under_way.left(tx, call, last_stream)
    reported_at = None
    for row in rows:
        turns = pb.CallUnderWay.FromString(row.under_way).turns
        if turns and row.number == last_stream:
            reported_at = row.under_way_at
        for turn in turns:
            report = rules.placed_in_call(pb.Report(turn=turn), row.number, row.offset_ms)
            await add_missing(tx, org, call, report.turn, at)
    if rows:
        await under_way.forget(tx, call, last_stream)
    for running in await calls.running_tools(tx, call):
        tool = restore(running, calls_pb2.ToolActivity())
        tool.status, tool.duration_ms = LOST, max(0, (at - moment(tool.started_at)) // timedelta(milliseconds=1))
        await calls.put_tool(tx, call, tool.id, stored(tool))
        await tell(tx, call, at, tool_finished=tool)
    return reported_at
