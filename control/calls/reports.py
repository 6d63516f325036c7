"""The media plane's reports on calls, stored once and in order."""

from datetime import datetime

from prometheus_client import Counter

from control.base.wire import moment
from control.calls import outbox, rules, turns
from control.calls.ending import finish
from control.calls.stream import stored, tell
from control.calls.turns import without_nul
from hum import ids
from hum.errors import NotFound
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import calls_pb2, runtime_pb2
from storage import calls, media_links, reports_set_aside, under_way
from storage.calls import CallState, StreamState
from storage.db import AWAY, BUSY, Db, Tx

LOG = log(__name__)
MAX_FAULT_CHARS = 200
SET_ASIDE = Counter("hum_reports_set_aside_total", "Reports of the media plane that could not be stored", ["kind"])


async def apply_batch(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    """Store a batch of reports once.  A report that can't be stored is set aside; those after it are still stored."""
    try:
        await _apply_all(db, node, batch)
    except (*AWAY, *BUSY):
        raise
    except Exception as error:  # noqa: BLE001 - storing them one by one shows which one failed
        LOG.warning("a batch of reports can't be stored as a whole", node=node, seq=batch.seq, error=repr(error)[:300])
        await _apply_each(db, node, batch)


async def _apply_all(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    async with db.system() as tx:
        if batch.seq <= await media_links.seq(tx, node):
            return
        for report in batch.reports:
            await _apply(tx, report)
        await media_links.set_seq(tx, node, batch.seq)


async def _apply_each(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    async with db.system() as tx:
        if batch.seq <= await media_links.seq(tx, node):
            return
        for place, report in enumerate(batch.reports):
            await tx.execute("SAVEPOINT report")
            try:
                await _apply(tx, report)
            except (*AWAY, *BUSY):
                raise
            except Exception as error:
                kind = report.WhichOneof("report") or "none"
                LOG.exception("a report was set aside", node=node, call=report.call_id, kind=kind)
                SET_ASIDE.labels(kind).inc()
                await tx.execute("ROLLBACK TO SAVEPOINT report")
                reason = repr(error)[:500]
                await reports_set_aside.add(tx, node, batch.seq, place, report.SerializeToString(), reason)
        await media_links.set_seq(tx, node, batch.seq)


async def _apply(tx: Tx, report: runtime_pb2.Report) -> None:
    """Store a report of an opened stream, unless it already arrived over another link."""
    id = ids.parse(Kind.CALL, report.call_id)
    try:
        state = await calls.lock(tx, id) if id else None
    except NotFound:
        state = None
    if state is None:
        LOG.warning("report of an unknown call", call=report.call_id)
        return
    stream = await calls.stream(tx, state.id, report.stream_number)
    if stream is not None and report.seq > stream.report_seq:
        await calls.set_report_seq(tx, state.id, stream.number, report.seq)
        placed = rules.placed_in_call(report, stream.number, stream.offset_ms)
        await _store(tx, state, stream, placed, moment(report.at))


async def _store(tx: Tx, state: CallState, stream: StreamState, report: runtime_pb2.Report, at: datetime) -> None:
    match report.WhichOneof("report"):
        case "started" if state.ended_at is None:
            await calls.answer(tx, state.id, at)
            await tell(tx, state.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_IN_PROGRESS))
            if state.answered_at is None:
                await outbox.started(tx, state, at)
        case "turn":
            await turns.add(tx, state.org_id, state.id, report.turn, at)
        case "interruption":
            await calls.add_interruption(tx, state.id, stored(report.interruption))
            await tell(tx, state.id, at, barge_in=report.interruption)
        case "latency":
            await calls.add_latency(tx, state.id, stored(report.latency))
        case "tool_started" | "tool_finished" as kind:
            activity = getattr(report, kind)
            await calls.put_tool(tx, state.id, activity.id, stored(activity))
            await tell(tx, state.id, at, **{kind: activity})
        case "announcement_played":
            await calls.announced(tx, state.id, report.announcement_played.at_ms)
        case "recording":
            file = report.recording
            if file.path:
                await calls.recorded(tx, state.id, file.path, file.duration_ms, file.size_bytes)
            if file.fault:
                await calls.recording_failed(tx, state.id, file.fault[:MAX_FAULT_CHARS])
        case "ended":
            await _stream_ended(tx, state, stream, report.ended, at)


async def _stream_ended(
    tx: Tx, state: CallState, stream: StreamState, ended: runtime_pb2.StreamEnded, at: datetime
) -> None:
    await under_way.forget(tx, state.id, stream.number)  # all of its turns are final
    if stream.number < state.streams_opened:
        return  # the call continues in another stream
    detail = without_nul(ended.detail) if ended.HasField("detail") else None
    if (status := rules.ENDINGS.get(ended.reason)) is not None:
        await finish(tx, state, status, at, ended.reason, detail)
    else:  # the call lost its stream; the carrier asks for the next step, or reports that the call is over
        await calls.carrier_ended(tx, state.id)
