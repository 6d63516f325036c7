"""Turns and tools in flight, for the case that their media process dies.

A media process reports unfinished turns twice a second, and they are stored with the stream.  When the call's next
stream opens, or the call ends, unfinished turns of earlier streams become part of the transcript, and their tools end
as lost.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from control.calls import callclock
from control.livecall import activity
from control.livecall.turns import add_missing
from hum import ids
from hum.ids import Kind
from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from storage import unfinished_turns
from storage.db import BUSY, UNAVAILABLE, Db, Tx

LOG = log(__name__)
#: Per call; a longer report is ignored.
MAX_BYTES = 64 << 10


async def store(db: Db, unfinished: Sequence[pb.CallUnderWay]) -> None:
    """Store the unfinished turns of calls.

    While the database is unavailable they are skipped: the next report follows.
    """
    parsed = [(ids.parse(Kind.CALL, call.call_id), call) for call in unfinished]
    streams = [
        (id, call.stream_number, call.SerializeToString())
        for id, call in parsed
        if id is not None and call.ByteSize() <= MAX_BYTES
    ]
    if not streams:
        return
    try:
        async with db.system() as tx:
            await unfinished_turns.store(tx, streams)
    except (*UNAVAILABLE, *BUSY) as error:
        LOG.warning("could not store unfinished turns", calls=len(streams), error=repr(error)[:200])


async def finalize(tx: Tx, org: UUID, call: UUID, last_stream: int, at: datetime) -> datetime | None:
    """Add the unfinished turns of a locked call's streams up to `last_stream` to its transcript, and end their tools.

    Return when the last stream's unfinished turns were reported; None if it had none.
    """
    rows = await unfinished_turns.of_call(tx, call, last_stream)
    reported_at = None
    for row in rows:
        turns = pb.CallUnderWay.FromString(row.under_way).turns
        if turns and row.number == last_stream:
            reported_at = row.under_way_at
        for turn in turns:
            report = callclock.placed_in_call(pb.Report(turn=turn), row.number, row.offset_ms)
            await add_missing(tx, org, call, report.turn, at)
    if rows:
        await unfinished_turns.clear(tx, call, last_stream)
    await activity.end_lost(tx, call, at)
    return reported_at
