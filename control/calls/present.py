"""Messages of the contract for calls and their parts."""

from typing import Any
from uuid import UUID

from control.base.wire import timestamp, value
from control.calls import calllimits
from control.livecall.stream import decode
from control.transfers import record
from control.usage.present import usage
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2 as pb
from hum.v1.review_pb2 import CallNote, Voicemail
from storage import latencies
from storage.call_records import CallDetailRow, CallRow
from storage.calls import TurnRow
from storage.review import NoteRow
from storage.voicemails import VoicemailRow


def listed(row: CallRow) -> pb.Call:
    """Return a call as lists show it."""
    return pb.Call(**_fields(row))


def _fields(row: CallRow) -> dict[str, Any]:
    duration = (row.ended_at - row.answered_at).total_seconds() if row.ended_at and row.answered_at else None
    return {
        "id": ids.show(Kind.CALL, row.id),
        "direction": value(pb.CallDirection, row.direction),
        "origin": value(pb.CallOrigin, row.origin),
        "status": value(pb.CallStatus, row.status),
        "from_e164": row.from_e164,
        "to_e164": row.to_e164,
        "number_id": ids.show(Kind.NUMBER, row.number_id) if row.number_id else None,
        "flow_id": ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        "flow_version": row.flow_version,
        "contact": contact(row),
        "created_at": timestamp(row.created_at),
        "answered_at": timestamp(row.answered_at),
        "ended_at": timestamp(row.ended_at),
        "duration_seconds": int(duration) if duration is not None else None,
        "end_reason": row.end_reason,
        "tags": row.tags,
        "outcome_label": row.outcome_label,
        "summary_text": row.summary_text,
        "caller_verification": value(pb.CallerVerification, row.caller_verification),
        "answered_by": value(pb.AnsweredBy, row.answered_by),
        "has_voicemail": row.has_voicemail,
    }


def contact(row: CallRow) -> pb.CallContact | None:
    if row.contact_id is None:
        return None
    return pb.CallContact(
        id=ids.show(Kind.CONTACT, row.contact_id),
        name=row.contact_name,
        phone_e164=row.contact_phone or "",
        company=row.contact_company,
    )


def detailed(row: CallDetailRow, earlier: str | None = None) -> pb.CallDetail:
    """Return a call with its details; `earlier` is the cursor of the turns before its transcript."""
    id = ids.show(Kind.CALL, row.call.id)
    return pb.CallDetail(
        **_fields(row.call),
        transcript=[turn(turn_row) for turn_row in row.turns],
        earlier_turns_cursor=earlier,
        last_event_id=row.event_seq,
        tool_activity=[decode(activity, pb.ToolActivity()) for activity in row.tool_activity],
        flow_switches=[flow_switch(switch) for switch in row.flow_switches],
        models=row.models,
        model_stages=[decode(stage, pb.ModelStage()) for stage in row.model_stages],
        summary=pb.Summary(**row.summary) if row.summary else None,
        outcome=row.outcome,
        keypad_entries=[decode(entry, pb.KeypadEntry()) for entry in row.keypad_entries],
        interruptions=[decode(interruption, pb.Interruption()) for interruption in row.interruptions],
        refused_onsets=[decode(onset, pb.RefusedOnset()) for onset in row.refused_onsets],
        more_refused_onsets=row.more_refused_onsets,
        recording_url=f"/api/calls/{id}/recording" if row.has_recording else None,
        peaks_url=f"/api/calls/{id}/peaks" if row.has_recording else None,
        recording_fault=row.recording_fault,
        recording_pauses=[decode(pause, pb.RecordingPause()) for pause in row.recording_pauses],
        latency=latency(row.latency),
        announcement_played_ms=row.announcement_played_ms,
        notes=[note(note_row) for note_row in row.notes],
        voicemail=voicemail(row.voicemail) if row.voicemail else None,
        interventions=[intervention(stored) for stored in row.interventions],
        transfers=[record.shown(transfer) for transfer in row.transfers],
        usage=usage(row.usage),
    )


def turn(row: TurnRow) -> pb.Turn:
    return pb.Turn(
        seq=row.seq,
        role=value(pb.Speaker, row.role),
        text=row.text,
        heard_text=row.heard_text,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        interrupted=row.interrupted,
        item_id=row.item_id or None,
    )


def flow_switch(stored: str) -> pb.FlowSwitched:
    switch = decode(stored, pb.FlowSwitched())
    switch.flow_id = ids.show(Kind.FLOW, UUID(switch.flow_id))
    return switch


def intervention(stored: str) -> pb.Intervention:
    message = decode(stored, pb.Intervention())
    message.id = ids.show(Kind.INTERVENTION, UUID(message.id))
    return message


def note(row: NoteRow) -> CallNote:
    return CallNote(
        id=ids.show(Kind.NOTE, row.id),
        body=row.body,
        author=row.author,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def voicemail(row: VoicemailRow) -> Voicemail:
    id = ids.show(Kind.VOICEMAIL, row.id)
    return Voicemail(
        id=id,
        call_id=ids.show(Kind.CALL, row.call_id),
        from_e164=row.from_e164,
        to_e164=row.to_e164,
        contact_id=ids.show(Kind.CONTACT, row.contact_id) if row.contact_id else None,
        contact_name=row.contact_name,
        duration_ms=row.duration_ms,
        transcript=row.transcript,
        audio_url=f"/api/voicemails/{id}/audio",
        peaks_url=f"/api/voicemails/{id}/peaks",
        heard=row.heard_at is not None,
        heard_at=timestamp(row.heard_at),
        heard_by=row.heard_by,
        created_at=timestamp(row.created_at),
    )


def latency(stored: list[list[int]]) -> pb.CallLatency | None:
    """Return the latency of each turn and its percentiles; None if the agent answered nothing."""
    if not stored:
        return None
    turns = [pb.TurnLatency(**dict(zip(latencies.ITEMS, values, strict=True))) for values in stored]
    return pb.CallLatency(
        turns=turns,
        **{name: _percentiles([getattr(turn, name) for turn in turns]) for name in latencies.MEASURES},
    )


def _percentiles(values: list[int]) -> pb.Percentiles:
    return pb.Percentiles(p50=calllimits.percentile(values, 0.5), p95=calllimits.percentile(values, 0.95))
