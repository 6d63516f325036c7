"""Pauses of a call's recording, in order; callers lock the call's row."""

import json
from typing import Any
from uuid import UUID

from storage.db import Tx

PAUSES = "SELECT recording_pauses FROM calls WHERE id = $1"
SET_PAUSES = "UPDATE calls SET recording_pauses = $2 WHERE id = $1"


async def upsert(tx: Tx, call: UUID, start_ms: int, pause: str) -> None:
    """Store a pause, a JSON object; it replaces one with the same start, and keeps that one's cause."""
    pauses: list[dict[str, Any]] = json.loads(await tx.fetchval(PAUSES, call))
    if pauses and pauses[-1].get("start_ms", 0) == start_ms:
        pauses[-1] = {**json.loads(pause), "cause": pauses[-1].get("cause", "")}
    else:
        pauses.append(json.loads(pause))
    await tx.execute(SET_PAUSES, call, json.dumps(pauses))
