"""A report that comes again, or late, changes nothing: each fact of a call is a row of its own."""

from typing import Any

from control.calls.reports import apply_batch
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2
from storage import call_records
from tests.control.test_orphans import Desk, desk
from tests.support.callfacts import TABLES

__all__ = ["desk"]


async def test_a_report_that_is_stored_changes_nothing(desk: Desk) -> None:
    """Whatever its stream and its link have counted, as for a report that was quarantined."""
    await desk.call_of("media-1")
    await desk.stream("media-1")
    facts: list[dict[str, Any]] = [
        {"interruption": calls_pb2.Interruption(at_ms=1)},
        {"latency": calls_pb2.TurnLatency(ours_ms=5)},
        {"digits": runtime_pb2.DigitsPressed(digits="4", at_ms=9)},
        {"onsets_refused": runtime_pb2.OnsetsRefused(more=3)},
    ]
    id = ids.show(Kind.CALL, desk.call)
    reports = [runtime_pb2.Report(call_id=id, stream_number=1, seq=seq, **fact) for seq, fact in enumerate(facts, 1)]
    states = []
    for _ in range(2):
        await apply_batch(desk.db, "media-1", runtime_pb2.ReportBatch(seq=1, reports=reports))
        async with desk.db.system() as tx:
            rows = [await tx.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
            states.append((rows, await call_records.detail(tx, desk.call)))
            await tx.execute("UPDATE media_links SET batch_seq = 0")
            await tx.execute("UPDATE call_streams SET report_seq = 0")
    assert set(states[0][0]) == {1}
    assert states[0] == states[1]
