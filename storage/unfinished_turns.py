"""Unfinished turns of streams, stored in case their media process dies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

REPLACE = """
    UPDATE call_streams s SET under_way = k.under_way, under_way_at = clock_timestamp()
      FROM unnest($1::uuid[], $2::integer[], $3::bytea[]) AS k (call_id, number, under_way)
     WHERE s.call_id = k.call_id AND s.number = k.number
"""
UNFINISHED = """
    SELECT s.number, coalesce(extract(epoch FROM s.opened_at - f.opened_at) * 1000, 0)::integer AS offset_ms, s.under_way,
           s.under_way_at
      FROM call_streams s
      LEFT JOIN call_streams f ON f.call_id = s.call_id AND f.number = 1
     WHERE s.call_id = $1 AND s.number <= $2 AND s.under_way IS NOT NULL
     ORDER BY s.number
"""
CLEAR = "UPDATE call_streams SET under_way = NULL WHERE call_id = $1 AND number <= $2 AND under_way IS NOT NULL"


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream's unfinished turns; `under_way` is a serialized `CallUnderWay`, reported at `under_way_at`."""

    number: int
    offset_ms: int
    under_way: bytes
    under_way_at: datetime


async def store(tx: Tx, streams: Sequence[tuple[UUID, int, bytes]]) -> None:
    """Replace the unfinished turns of streams, each (call, number, serialized `CallUnderWay`).  Runs as the system."""
    calls, numbers, under_way = zip(*streams, strict=True)
    await tx.execute(REPLACE, list(calls), list(numbers), list(under_way))


async def of_call(tx: Tx, call: UUID, last: int) -> list[StreamRow]:
    """Return the unfinished turns of a call's streams, up to stream `last`."""
    return [StreamRow(**row) for row in await tx.fetch(UNFINISHED, call, last)]


async def clear(tx: Tx, call: UUID, last: int) -> None:
    await tx.execute(CLEAR, call, last)
