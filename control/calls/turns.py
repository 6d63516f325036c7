"""Turns of a call's transcript: stored, and appended to the call's own stream."""

from datetime import datetime
from uuid import UUID

from control.base.wire import word
from control.calls.stream import tell
from hum.v1 import calls_pb2
from storage import calls
from storage.calls import TurnRow
from storage.db import Tx


async def add(tx: Tx, org: UUID, call: UUID, reported: calls_pb2.Turn, at: datetime) -> None:
    """Store a final turn of a locked call, in place of what was known of it."""
    turn = _clean(reported)
    await calls.add_turn(tx, org, call, _row(turn))
    await tell(tx, call, at, turn=turn)


async def add_missing(tx: Tx, org: UUID, call: UUID, known: calls_pb2.Turn, at: datetime) -> None:
    """Store what is known of a turn whose end was never reported, unless it is there."""
    turn = _clean(known)
    if await calls.add_missing_turn(tx, org, call, _row(turn)):
        await tell(tx, call, at, turn=turn)


def without_nul(text: str) -> str:
    """A model's text as PostgreSQL can store it: it keeps no NUL."""
    return text.replace("\0", "\ufffd")


def _clean(reported: calls_pb2.Turn) -> calls_pb2.Turn:
    turn = calls_pb2.Turn()
    turn.CopyFrom(reported)
    turn.text = without_nul(turn.text)
    if turn.HasField("heard_text"):
        turn.heard_text = without_nul(turn.heard_text)
    return turn


def _row(turn: calls_pb2.Turn) -> TurnRow:
    return TurnRow(
        seq=turn.seq,
        role=word(calls_pb2.Speaker, turn.role) or "system",
        text=turn.text,
        heard_text=turn.heard_text if turn.HasField("heard_text") else None,
        start_ms=turn.start_ms,
        end_ms=turn.end_ms,
        interrupted=turn.interrupted,
        item_id=turn.item_id,
    )
