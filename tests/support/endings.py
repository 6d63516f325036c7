"""What every call that ended has left behind, however it ended (docs/call-endings.md)."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

#: The reasons of ends that control assumes, or that a media process's report replaces.
ASSUMED = {"stream_lost", "no_stream", "caller", "control_away"}
ENDED = """
    SELECT c.id, c.status, c.end_reason,
           ARRAY(SELECT e.data FROM call_events e WHERE e.call_id = c.id AND e.type = 'call.ended') AS streamed,
           (SELECT type FROM call_events e WHERE e.call_id = c.id ORDER BY seq DESC LIMIT 1) AS last,
           ARRAY(SELECT e.data FROM events e WHERE e.subject_id = c.id AND e.type = 'call.completed') AS completed,
           ARRAY(SELECT e.data FROM events e WHERE e.subject_id = c.id AND e.type = 'call.corrected' ORDER BY e.id) AS corrected,
           (SELECT count(*) FROM events e WHERE e.subject_id = c.id AND e.type = 'call.started') AS started,
           (SELECT max(e.id) FROM events e WHERE e.subject_id = c.id AND e.type = 'call.started')
               > (SELECT min(e.id) FROM events e WHERE e.subject_id = c.id AND e.type = 'call.completed') AS swapped
      FROM calls c WHERE c.ended_at IS NOT NULL
"""


async def violations(database_url: str) -> list[str]:
    """Return a sentence for each ended call whose record, outbox and stream do not say the same, once."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(ENDED)
    finally:
        await connection.close()
    return [f"{row['status']}, {row['end_reason']}: {complaint}" for row in rows for complaint in _complaints(row)]


def _complaints(row: asyncpg.Record) -> list[str]:
    said = {"status": row["status"], "reason": row["end_reason"]}
    found = []
    if row["corrected"]:
        *_, correction = map(json.loads, row["corrected"])
        if {key: correction.get(key) for key in said} != said:
            found.append(f"corrected: {correction}")
        (completed,) = map(json.loads, row["completed"])
        said = {key: completed[key] for key in said}
        if completed["reason"] not in ASSUMED:
            found.append(f"corrected, though it was certain: {completed}")
    for name in ("completed", "streamed"):
        told = [json.loads(each) for each in row[name]]
        if [{key: each.get(key) for key in said} for each in told] != [said]:
            found.append(f"{name}: {told}")
    if row["last"] != "call.ended":
        found.append(f"{row['last']} came after the end")
    if row["started"] > 1 or row["swapped"]:
        found.append("call.started is not before the end, once")
    return found


@pytest.fixture
async def ends_are_told(database_url: str) -> AsyncIterator[None]:
    """Check, after a test, what its ended calls have left behind.  For `pytest.mark.usefixtures`."""
    yield
    if found := await violations(database_url):
        pytest.fail("; ".join(found))
