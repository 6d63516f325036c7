"""Turns of a call's transcript, which are stored and appended to the call's own stream."""

from datetime import datetime
from uuid import UUID

from control.base.wire import word
from control.livecall.stream import tell
from hum.v1 import calls_pb2
from storage import calls
from storage.calls import TurnRow
from storage.db import Tx


async def add(tx: Tx, org: UUID, call: UUID, reported_turn: calls_pb2.Turn, at: datetime) -> None:
    """Store a final turn of a locked call, and replace its unfinished version."""
    turn = _clean(reported_turn)
    await calls.add_turn(tx, org, call, _row(turn))
    await tell(tx, call, at, turn=turn)


async def add_missing(tx: Tx, org: UUID, call: UUID, turn_so_far: calls_pb2.Turn, at: datetime) -> None:
    """Store the unfinished version of a turn that was never reported as final, unless the turn is stored."""
    turn = _clean(turn_so_far)
    if await calls.add_missing_turn(tx, org, call, _row(turn)):
        await tell(tx, call, at, turn=turn)


def without_nul(text: str) -> str:
    """Replace NUL characters in a model's text, which PostgreSQL can't store."""
    return text.replace("\0", "\ufffd")


def _clean(reported_turn: calls_pb2.Turn) -> calls_pb2.Turn:
    turn = calls_pb2.Turn()
    turn.CopyFrom(reported_turn)
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
