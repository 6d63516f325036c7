"""Reports of the media plane that could not be stored, kept unchanged for investigation."""

from datetime import timedelta
from uuid import UUID

from storage.db import Tx

ADD = """
    INSERT INTO reports_set_aside (node, batch_seq, place, call_id, report, reason) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (node, batch_seq, place) DO NOTHING
"""
FORGET = "DELETE FROM reports_set_aside WHERE at < now() - $1::interval"


async def add(tx: Tx, node: str, batch_seq: int, place: int, call: UUID | None, report: bytes, reason: str) -> None:
    """`call`: the call that the report names, if it names one."""
    await tx.execute(ADD, node, batch_seq, place, call, report, reason)


async def forget(tx: Tx, keep: timedelta) -> None:
    await tx.execute(FORGET, keep)
