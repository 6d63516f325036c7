"""A call's life: the carrier rings, a stream opens, reports come in, it ends."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from control import jobs
from control.base.wire import moment, value, word
from control.calls import rules
from hum import ids, secrets
from hum.clock import now
from hum.errors import InvalidState, NotFound
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import calls_pb2, options_pb2, runtime_pb2
from hum.validation import bad_e164, bad_json
from storage import calls, contacts
from storage.calls import CallState, NewCall, StreamState, TurnRow
from storage.contacts import Met
from storage.db import Db, Tx

LOG = log(__name__)
Step = runtime_pb2.CarrierStep


# --- what the carrier asks ----------------------------------------------------------------------------------------


async def route_inbound(
    db: Db, asked: runtime_pb2.RouteCallRequest, token_seconds: int, lookup_keep: timedelta = timedelta(0)
) -> Step:
    """What the carrier shall do with a call that came in; the same again when it asks again.

    A caller about whom the carrier said nothing for `lookup_keep` is looked up meanwhile; zero: nobody is.
    """
    at = now()
    async with db.system() as tx:
        found = await calls.route(tx, asked.to_e164, asked.from_e164)
        if found is None:
            LOG.info("call to an unknown number")
            return _say(rules.REFUSAL)
        decision = rules.route(_facts(found), at)
        known = await calls.by_sid(tx, asked.call_sid)
        if known is None:
            known = await _begin(tx, found, asked, decision, at, lookup_keep)
        if known.status in rules.LIVE:
            return await _connect(tx, known, token_seconds)
        return _hang_up() if isinstance(decision, rules.Connect) else _refuse(decision)


def _facts(found: calls.RouteRow) -> rules.Facts:
    return rules.Facts(
        blocked=found.blocked,
        number_active=found.status == "active",
        definition=found.definition if found.flow_id else None,
        business_hours_json=found.business_hours_json,
        time_zone=found.time_zone,
    )


async def _begin(
    tx: Tx,
    found: calls.RouteRow,
    asked: runtime_pb2.RouteCallRequest,
    decision: rules.Decision,
    at: datetime,
    lookup_keep: timedelta,
) -> CallState:
    """Store the call, which may be over at once; or find the one that a twin of this request stored."""
    caller = await _meet(tx, found.org_id, asked)
    call = NewCall(
        id=ids.new(),
        org_id=found.org_id,
        call_sid=asked.call_sid,
        direction="inbound",
        status="ringing",
        from_e164=asked.from_e164,
        to_e164=asked.to_e164,
        number_id=found.number_id,
        flow_id=found.flow_id,
        flow_version=found.flow_version,
        contact_id=caller.id if caller else None,
    )
    if await calls.create(tx, call):
        await calls.record_event(tx, call.id, "call.state", {"status": "ringing"}, at)
        if (
            caller
            and not isinstance(decision, rules.Reject)
            and rules.owes_lookup(caller.looked_up_at, at, lookup_keep)
        ):
            await jobs.enqueue(tx, jobs.LOOK_UP_CONTACT, found.org_id, caller.id)
        if not isinstance(decision, rules.Connect):
            await finish(tx, await calls.lock(tx, call.id), decision.status, at, decision.reason)
        return await calls.lock(tx, call.id)
    state = await calls.by_sid(tx, asked.call_sid)
    assert state is not None, "what is not created was there"
    return state


async def _meet(tx: Tx, org: UUID, asked: runtime_pb2.RouteCallRequest) -> Met | None:
    """The caller's contact; a caller who withholds the number has none."""
    if bad_e164(asked.from_e164):
        return None
    name = asked.caller_name if asked.HasField("caller_name") else None
    return await contacts.meet(tx, ids.new(), org, asked.from_e164, name)


def _refuse(decision: rules.Refuse | rules.Reject) -> Step:
    if isinstance(decision, rules.Reject):
        return Step(reject=runtime_pb2.RejectCall(reason="rejected"))
    return _say(decision.text)


async def _connect(tx: Tx, state: CallState, token_seconds: int) -> Step:
    token = secrets.new_token()
    await calls.offer_token(tx, state.id, secrets.token_hash(token), token_seconds)
    return Step(connect=runtime_pb2.ConnectStream(call_id=ids.show(Kind.CALL, state.id), token=token))


def _say(text: str) -> Step:
    return Step(say=runtime_pb2.SayAndHangUp(text=text))


def _hang_up() -> Step:
    return Step(hang_up=runtime_pb2.HangUpNow())


async def next_step(db: Db, id: UUID, call_sid: str, token_seconds: int) -> Step:
    """The stream of a call has closed: what is the call owed?  Raises NotFound."""
    async with db.system() as tx:
        state = await calls.lock(tx, id)
        if state.call_sid != call_sid:
            raise NotFound("there is no such call")
        match rules.after_stream(state.status, state.streams_opened):
            case rules.Connect():
                return await _connect(tx, state, token_seconds)
            case rules.Refuse() as apology:
                await finish(tx, state, apology.status, now(), apology.reason)
                return _refuse(apology)
        return _hang_up()


async def is_live(db: Db, id: UUID) -> bool:
    """Tell whether a call goes on.  Raises NotFound."""
    async with db.system() as tx:
        return (await calls.look(tx, id)).status in rules.LIVE


async def carrier_status(db: Db, call_sid: str, carrier_status: str) -> None:
    """The carrier's word on a call.  It closes calls that were never joined; a joined call is closed by its stream's
    end, and by the sweep when that never comes.
    """
    ended = rules.CARRIER_ENDINGS.get(carrier_status)
    if ended is None:
        return
    async with db.system() as tx:
        state = await calls.by_sid(tx, call_sid)
        if state is None or state.status not in rules.LIVE:
            return
        if state.streams_opened:
            await calls.carrier_ended(tx, state.id)
        else:
            await finish(tx, state, ended, now(), "caller")


async def sweep(db: Db, lost_seconds: float) -> int:
    """Close the calls that the carrier ended so long ago and whose stream never reported its end."""
    async with db.system() as tx:
        stale = await calls.lock_stale(tx, lost_seconds)
        for state in stale:
            await finish(tx, state, "completed", state.carrier_ended_at or now(), "stream_lost")
    return len(stale)


async def finish(tx: Tx, state: CallState, status: str, at: datetime, reason: str, detail: str | None = None) -> None:
    """Close a call whose row is locked, once, and owe what comes after a call."""
    if state.ended_at is not None:
        return
    await calls.finish(tx, state.id, status, at, reason, detail)
    lasted = int((at - state.answered_at).total_seconds()) if state.answered_at else None
    ended = {"status": status, "reason": reason} | ({"duration_seconds": lasted} if lasted is not None else {})
    await calls.record_event(tx, state.id, "call.ended", ended, at)
    await jobs.enqueue(tx, jobs.AFTER_CALL, state.org_id, state.id)


# --- what the media plane asks and tells --------------------------------------------------------------------------


async def apply_batch(db: Db, node: str, batch: runtime_pb2.ReportBatch) -> list[runtime_pb2.Report]:
    """Store a batch of reports, in one transaction, once; return what is only to be passed on (deltas)."""
    passing = [report for report in batch.reports if report.WhichOneof("report") == "delta"]
    async with db.system() as tx:
        if batch.seq <= await calls.link_seq(tx, node):
            return []
        for report in batch.reports:
            if report.WhichOneof("report") != "delta":
                await _apply(tx, report)
        await calls.set_link_seq(tx, node, batch.seq)
    return passing


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
    rules.place_in_call(report, stream.number, stream.offset_ms)
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
        text=turn.text,
        heard_text=turn.heard_text if turn.HasField("heard_text") else None,
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


def facts_of(message: Any) -> dict[str, Any]:
    """A message's fields as an event keeps them: plain values, enums as words, nothing for what is unset."""
    facts: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        stored = getattr(message, field.name)
        if field.enum_type is not None:
            stored = field.enum_type.values_by_number[stored].name.removeprefix("SPEAKER_").lower()
        elif field.message_type is not None:
            stored = moment(stored).isoformat()  # the only messages inside are times
        elif field.GetOptions().Extensions[options_pb2.raw_json] and bad_json(stored):
            stored = json.dumps(stored)  # a model or a tool said something that is no JSON: keep it as a string
        facts[field.name] = stored
    return facts


def message_of(message: Any, facts: Mapping[str, Any]) -> Any:
    """The other way round, into an empty message.  Members of a later release are passed over."""
    for field in message.DESCRIPTOR.fields:
        if (stored := facts.get(field.name)) is None:
            continue
        if field.enum_type is not None:
            setattr(message, field.name, value(calls_pb2.Speaker, stored))
        elif field.message_type is not None:
            getattr(message, field.name).FromDatetime(datetime.fromisoformat(stored))
        else:
            setattr(message, field.name, stored)
    return message


# --- what people ask ----------------------------------------------------------------------------------------------


async def require_live(tx: Tx, id: UUID) -> CallState:
    """Lock a call that goes on.  Raises NotFound, InvalidState."""
    state = await calls.lock(tx, id)
    if state.status not in rules.LIVE:
        raise InvalidState(f"the call is {state.status.replace('_', ' ')}")
    return state
