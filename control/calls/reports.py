"""What the media plane reports of calls, stored once and in order."""

from datetime import datetime

from prometheus_client import Counter

from control.base.wire import moment, word
from control.calls import rules
from control.calls.ending import finish
from control.calls.facts import facts_of
from hum import ids
from hum.errors import NotFound
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import calls_pb2, runtime_pb2
from storage import calls, reports_set_aside
from storage.calls import CallState, StreamState, TurnRow
from storage.db import AWAY, BUSY, Db, Tx

LOG = log(__name__)
#: PostgreSQL keeps no NUL in text; a model may well write one.
NUL, REPLACEMENT = "\0", "\ufffd"
SET_ASIDE = Counter("hum_reports_set_aside_total", "Reports of the media plane that could not be stored", ["kind"])


async def apply_batch(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    """Store a batch of reports once.  A report that can't be stored is put aside; those behind it go on."""
    try:
        await _apply_all(db, node, batch)
    except (*AWAY, *BUSY):
        raise
    except Exception as error:  # noqa: BLE001 - then each by itself shows which one it was
        LOG.warning("a batch of reports can't be stored as a whole", node=node, seq=batch.seq, error=repr(error)[:300])
        await _apply_each(db, node, batch)


async def _apply_all(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    async with db.system() as tx:
        if batch.seq <= await calls.link_seq(tx, node):
            return
        for report in batch.reports:
            await _apply(tx, report)
        await calls.set_link_seq(tx, node, batch.seq)


async def _apply_each(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    async with db.system() as tx:
        if batch.seq <= await calls.link_seq(tx, node):
            return
        for place, report in enumerate(batch.reports):
            await tx.execute("SAVEPOINT report")
            try:
                await _apply(tx, report)
            except (*AWAY, *BUSY):
                raise
            except Exception as error:
                kind = report.WhichOneof("report") or "none"
                LOG.exception("a report is put aside", node=node, call=report.call_id, kind=kind)
                SET_ASIDE.labels(kind).inc()
                await tx.execute("ROLLBACK TO SAVEPOINT report")
                reason = repr(error)[:500]
                await reports_set_aside.add(tx, node, batch.seq, place, report.SerializeToString(), reason)
        await calls.set_link_seq(tx, node, batch.seq)


async def _apply(tx: Tx, report: runtime_pb2.Report) -> None:
    id = ids.parse(Kind.CALL, report.call_id)
    try:
        state = await calls.lock(tx, id) if id else None
    except NotFound:
        state = None
    if state is None:
        LOG.warning("report of an unknown call", call=report.call_id)
        return
    stream = await calls.stream(tx, state.id, report.stream_number)
    if stream is None or report.seq <= stream.report_seq:
        return  # nobody opened that stream, or the report came before, over another link
    await calls.set_report_seq(tx, state.id, stream.number, report.seq)
    at = moment(report.at)
    report = rules.placed_in_call(report, stream.number, stream.offset_ms)
    match report.WhichOneof("report"):
        case "started" if state.ended_at is None:
            await calls.answer(tx, state.id, at)
            await calls.record_event(tx, state.id, "call.state", {"status": "in_progress"}, at)
        case "turn":
            await _turn(tx, state, report.turn, at)
        case "interruption":
            said = facts_of(report.interruption)
            await calls.add_interruption(tx, state.id, said)
            await calls.record_event(tx, state.id, "barge_in", said, at)
        case "latency":
            await calls.add_latency(tx, state.id, facts_of(report.latency))
        case "tool_started" | "tool_finished" as kind:
            said = facts_of(getattr(report, kind))
            await calls.put_tool(tx, state.id, said)
            await calls.record_event(tx, state.id, kind.replace("_", "."), said, at)
        case "announcement_played":
            await calls.announced(tx, state.id, report.announcement_played.at_ms)
        case "recording":
            stored = report.recording
            await calls.recorded(tx, state.id, stored.path, stored.duration_ms, stored.size_bytes)
        case "ended":
            await _stream_ended(tx, state, stream, report.ended, at)


async def _turn(tx: Tx, state: CallState, turn: calls_pb2.Turn, at: datetime) -> None:
    row = TurnRow(
        seq=turn.seq,
        role=word(calls_pb2.Speaker, turn.role) or "system",
        text=turn.text.replace(NUL, REPLACEMENT),
        heard_text=turn.heard_text.replace(NUL, REPLACEMENT) if turn.HasField("heard_text") else None,
        start_ms=turn.start_ms,
        end_ms=turn.end_ms,
        interrupted=turn.interrupted,
    )
    await calls.add_turn(tx, state.org_id, state.id, row)
    await calls.record_event(tx, state.id, "transcript.turn", facts_of(turn), at)


async def _stream_ended(
    tx: Tx, state: CallState, stream: StreamState, ended: runtime_pb2.StreamEnded, at: datetime
) -> None:
    if stream.number < state.streams_opened:
        return  # the call has gone on in another stream
    detail = ended.detail if ended.HasField("detail") else None
    if (status := rules.ENDINGS.get(ended.reason)) is not None:
        await finish(tx, state, status, at, ended.reason, detail)
    else:  # the stream died under the call; the carrier asks `next`, or says that it is over
        await calls.carrier_ended(tx, state.id)
