"""The media plane's reports on calls, which are stored once and in order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from prometheus_client import Counter

from control import jobs
from control.base.wire import moment
from control.calls import callclock, calllimits, outbox
from control.calls.ending import stream_ended
from control.executions import runner
from control.livecall import activity, turns
from control.livecall.stream import append_event
from control.usage import callentries as usage
from control.voicemail.messageparts import KEEP
from hum import ids
from hum import recordings as recording_names
from hum.contract.errors import NotFound, Unavailable
from hum.ids import Kind
from hum.observe.logs import log
from hum.v1 import calls_pb2, runtime_pb2
from storage import (
    callmodels,
    calls,
    deleted_organizations,
    erasures,
    flow_switches,
    interruptions,
    interventions,
    keypad,
    latencies,
    media_links,
    onsets,
    pauses,
    quarantine,
    recordings,
    stages,
    voicemails,
)
from storage.calls import CallStateRow, StreamState
from storage.db import BUSY, UNAVAILABLE, Db, Tx
from storage.flow_switches import SwitchRow
from storage.interruptions import InterruptionRow
from storage.interventions import InterventionRow
from storage.latencies import LatencyRow
from storage.onsets import OnsetRow
from storage.pauses import PauseRow

LOG = log(__name__)
MAX_FAULT_CHARS = 200
#: Reports that name a file.
WITH_FILE = frozenset({"recording_started", "recording", "message_started", "message_stored"})

SET_ASIDE = Counter("hum_reports_set_aside_total", "Reports of the media plane that could not be stored", ["kind"])


class LostReports(Unavailable):
    """The loss of acknowledged reports: the database was restored, or a standby without them was promoted."""

    def __init__(self) -> None:
        super().__init__("The database has lost reports that were acknowledged; link again, and send them again.")


async def apply_batch(db: Db, node: str, batch: runtime_pb2.ReportBatch, acknowledged: int = 0) -> None:
    """Store a batch of reports once.  A report that can't be stored is quarantined, and those after it are stored.

    `acknowledged`: the last batch that this process knows to be stored.  Raises LostReports if the database lacks it,
    and UNAVAILABLE, BUSY.
    """
    try:
        await _apply_all(db, node, batch, acknowledged)
    except (*UNAVAILABLE, *BUSY, LostReports):
        raise
    # Any report may have a bug in it: storing each alone shows which one.
    except Exception as error:  # noqa: BLE001
        LOG.warning("could not store a batch of reports as a whole", node=node, seq=batch.seq, error=repr(error)[:300])
        await _apply_each(db, node, batch)


async def _apply_all(db: Db, node: str, batch: runtime_pb2.ReportBatch, acknowledged: int) -> None:
    async with db.system() as tx:
        stored = await media_links.seq(tx, node)
        if stored < acknowledged:
            raise LostReports
        if batch.seq <= stored:
            return
        for report in batch.reports:
            await _apply(tx, report)
        await media_links.set_seq(tx, node, batch.seq)


async def store_again(tx: Tx, node: str, batch_seq: int, place: int) -> bool:
    """Store a quarantined report; return False if there is none.  Raises the error if it still can't be stored."""
    serialized = await quarantine.claim_report(tx, node, batch_seq, place)
    if serialized is None:
        return False
    await _apply(tx, runtime_pb2.Report.FromString(serialized), is_new=False)
    return True


async def _apply_each(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> None:
    async with db.system() as tx:
        if batch.seq <= await media_links.seq(tx, node):
            return
        for place, report in enumerate(batch.reports):
            await tx.execute("SAVEPOINT report")
            try:
                await _apply(tx, report)
            except (*UNAVAILABLE, *BUSY):
                raise
            # The boundary of one report: it is kept for an operator, and those after it are stored.
            except Exception as error:
                kind = report.WhichOneof("report") or "none"
                LOG.exception("a report was quarantined", node=node, call=report.call_id, kind=kind)
                SET_ASIDE.labels(kind).inc()
                await tx.execute("ROLLBACK TO SAVEPOINT report")
                reason = repr(error)[:500]
                call = ids.parse(Kind.CALL, report.call_id)
                await quarantine.add_report(tx, node, batch.seq, place, call, report.SerializeToString(), reason)
        await media_links.set_seq(tx, node, batch.seq)


async def _apply(tx: Tx, report: runtime_pb2.Report, *, is_new: bool = True) -> None:
    """Store a report of an opened stream, unless it arrived over another link before.

    `is_new`: False for a quarantined report, which is older than the stream's last one.
    """
    id = ids.parse(Kind.CALL, report.call_id)
    try:
        state = await calls.lock(tx, id) if id else None
    except NotFound:
        state = None
    if state is None:
        # If the call was deleted, so are the files that its stream has written since.
        if id is not None and await _owe_files_again(tx, id, report):
            return
        LOG.warning("ignored a report of an unknown call", call=report.call_id)
        return
    stream = await calls.stream(tx, state.id, report.stream_number)
    if stream is not None and (report.seq > stream.report_seq or not is_new):
        await calls.set_report_seq(tx, state.id, stream.number, max(report.seq, stream.report_seq))
        placed = callclock.placed_in_call(report, stream.number, stream.offset_ms)
        await _store(tx, state, stream, placed, moment(report.at))


async def _owe_files_again(tx: Tx, id: UUID, report: runtime_pb2.Report) -> bool:
    """Schedule the deletion of a deleted call's files again, also after its organization was deleted.

    Return False if neither was deleted.
    """
    if await erasures.schedule_late_files(tx, id):
        return True
    kind = report.WhichOneof("report")
    if kind not in WITH_FILE:
        return False
    owner = recording_names.owner(getattr(report, kind).path)
    return (
        owner is not None and owner.id == id and await deleted_organizations.schedule_late_files(tx, owner.org_id, id)
    )


async def _store(tx: Tx, state: CallStateRow, stream: StreamState, report: runtime_pb2.Report, at: datetime) -> None:
    match report.WhichOneof("report"):
        case "started" if state.ended_at is None:
            await _start(tx, state, at)
        case "turn":
            await turns.add(tx, state.org_id, state.id, report.turn, at)
        case "interruption" | "refused_onset" | "onsets_refused" | "latency" | "intervention":
            await _add(tx, state, report, at)
        case "tool_started" | "tool_finished" as kind:
            tool = await runner.without_secrets(getattr(report, kind))
            await activity.add(tx, state.org_id, state.id, tool, at)
        case "digits":
            await _add_keys(tx, state, report.digits, at)
        case "flow_took_over":
            await _switch_flow(tx, state, report, at)
        case "model_used" | "stage_used":
            await _add_usage(tx, state, stream, report)
        case "announcement_played":
            await calls.set_announced(tx, state.id, report.announcement_played.at_ms)
        case "recording_started" | "recording" | "recording_pause":
            await _set_recording(tx, state, stream, report)
        case "message_started" | "message_stored":
            await _set_message(tx, state, stream, report, at)
        case "ended":
            await stream_ended(tx, state, stream.number, report.ended, at)


async def _add_usage(tx: Tx, state: CallStateRow, stream: StreamState, report: runtime_pb2.Report) -> None:
    """Store what a model used, and what a request for a stage of the call's cascade took."""
    used = report.model_used
    if report.HasField("stage_used"):
        request, used = report.stage_used, report.stage_used.used
        await stages.add(tx, state.org_id, state.id, request.stage, used.model, request.took_ms, request.error or None)
    await usage.record_model_usage(tx, state, stream.number, used)


async def _add(tx: Tx, state: CallStateRow, report: runtime_pb2.Report, at: datetime) -> None:
    """Store an item of one of the call's lists."""
    match report.WhichOneof("report"):
        case "interruption":
            if await interruptions.add(tx, state.org_id, state.id, _interruption(report)):
                await append_event(tx, state.id, at, barge_in=report.interruption)
        case "refused_onset":
            if await onsets.add(tx, state.org_id, state.id, _onset(report), calllimits.MAX_REFUSED_ONSETS):
                await append_event(tx, state.id, at, refused_onset=report.refused_onset)
        case "onsets_refused":
            more = report.onsets_refused.more
            await onsets.add_more(tx, state.org_id, state.id, report.stream_number, report.seq, more)
        case "latency":
            await latencies.add(tx, state.org_id, state.id, _latency(report))
        case "intervention":
            if await interventions.add(tx, state.org_id, state.id, _intervention(report)):
                await append_event(tx, state.id, at, intervention=report.intervention)


def _interruption(report: runtime_pb2.Report) -> InterruptionRow:
    message = report.interruption
    return InterruptionRow(
        report.stream_number,
        report.seq,
        message.at_ms,
        message.heard_ms,
        message.reaction_ms,
        message.verdict,
        message.turn_seq if message.HasField("turn_seq") else None,
        message.onset if message.HasField("onset") else None,
        message.reason if message.HasField("reason") else None,
        message.decided_ms if message.HasField("decided_ms") else None,
        message.spoken_ms if message.HasField("spoken_ms") else None,
    )


def _onset(report: runtime_pb2.Report) -> OnsetRow:
    message = report.refused_onset
    return OnsetRow(report.stream_number, report.seq, message.at_ms, message.until_ms, message.onset, message.reason)


def _intervention(report: runtime_pb2.Report) -> InterventionRow:
    message = report.intervention
    return InterventionRow(
        report.stream_number,
        report.seq,
        ids.require(Kind.INTERVENTION, message.id),
        message.kind,
        turns.without_nul(message.text),
        message.by,
        moment(message.at) if message.HasField("at") else None,
        message.at_ms if message.HasField("at_ms") else None,
    )


def _latency(report: runtime_pb2.Report) -> LatencyRow:
    measures = [getattr(report.latency, name) for name in latencies.MEASURES]
    return LatencyRow(report.stream_number, report.seq, report.latency.turn_seq, *measures)


async def _add_keys(tx: Tx, state: CallStateRow, pressed: runtime_pb2.DigitsPressed, at: datetime) -> None:
    """Store the keys of an entry so far; no other function writes keys to a call's record."""
    entry = calls_pb2.KeypadEntry(keys=calllimits.keys(pressed.digits), at_ms=pressed.at_ms)
    if not pressed.digits:
        # The recording was paused during the entry.
        await keypad.remove(tx, state.org_id, state.id, entry.at_ms, calllimits.MAX_KEYPAD_ENTRIES)
    elif entry.keys and await keypad.upsert(
        tx, state.org_id, state.id, entry.at_ms, entry.keys, calllimits.MAX_KEYPAD_ENTRIES
    ):
        await append_event(tx, state.id, at, keypad_entry=entry)


async def _start(tx: Tx, state: CallStateRow, at: datetime) -> None:
    await calls.answer(tx, state.id, at)
    await append_event(tx, state.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_IN_PROGRESS))
    if state.answered_at is None:
        await outbox.started(tx, state, at)


async def _set_recording(tx: Tx, state: CallStateRow, stream: StreamState, report: runtime_pb2.Report) -> None:
    file = report.recording
    match report.WhichOneof("report"):
        case "recording_pause":
            pause = report.recording_pause
            end_ms = pause.end_ms if pause.HasField("end_ms") else None
            row = PauseRow(stream.number, report.seq, pause.start_ms, end_ms, pause.cause)
            await pauses.upsert(tx, state.org_id, state.id, row)
        case "recording_started":
            await recordings.begin(tx, state.id, stream.number, report.recording_started.path)
        case "recording" if file.path:
            await recordings.store(tx, state.id, stream.number, file.path, file.duration_ms, file.size_bytes)
        case "recording":
            await recordings.drop(tx, state.id, stream.number)
    if file.fault:
        await recordings.fail(tx, state.id, file.fault[:MAX_FAULT_CHARS])


async def _set_message(
    tx: Tx, state: CallStateRow, stream: StreamState, report: runtime_pb2.Report, at: datetime
) -> None:
    """Store the state of a mailbox's file; a late report of a call that has ended also enqueues the voicemail.

    The stream of such a call has ended, too: its last event is that of the end.
    """
    event: dict[str, Any]
    if report.WhichOneof("report") == "message_started":
        await voicemails.begin_part(tx, state.org_id, state.id, stream.number, report.message_started.path)
        event = {"message_begun": calls_pb2.MessageBegun()}
    else:
        file = report.message_stored
        if file.path:
            await voicemails.end_part(tx, state.id, stream.number)
        else:
            await voicemails.drop_part(tx, state.id, stream.number)
        if file.fault:
            await recordings.fail(tx, state.id, file.fault[:MAX_FAULT_CHARS])
        event = {"message_over": calls_pb2.MessageOver(duration_ms=file.duration_ms)}
    if state.ended_at is None:
        await append_event(tx, state.id, at, **event)
    else:
        await jobs.enqueue(tx, KEEP, state.org_id, state.id)


async def _switch_flow(tx: Tx, state: CallStateRow, report: runtime_pb2.Report, at: datetime) -> None:
    took_over = report.flow_took_over
    switched = calls_pb2.FlowSwitched(
        flow_id=took_over.flow_id, flow_version=took_over.flow_version, at_ms=took_over.at_ms
    )
    if took_over.model:  # a media plane of an earlier release does not say it
        await callmodels.note(tx, state.id, took_over.model)
    flow = ids.require(Kind.FLOW, took_over.flow_id)
    row = SwitchRow(report.stream_number, report.seq, flow, took_over.flow_version, took_over.at_ms)
    if await flow_switches.add(tx, state.org_id, state.id, row):
        await append_event(tx, state.id, at, flow_switched=switched)
        await outbox.flow_switched(tx, state, switched, at)
