"""Answers to the carrier about a call: when it rings, when its stream has closed, when its status changes."""

import sys
from datetime import datetime, timedelta
from uuid import UUID

from control import jobs
from control.base.wire import word
from control.calls import rules
from control.calls.ending import finish
from control.calls.sentences import Sentence, sentence
from control.calls.stream import tell
from control.contacts.rules import LOOK_UP_CONTACT
from control.flows.stored import is_usable
from hum import ids, secrets
from hum.clock import now
from hum.errors import NotFound
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import calls_pb2, runtime_pb2
from hum.validation import bad_e164
from storage import calls, contacts
from storage.calls import CallState, NewCall
from storage.contacts import Met
from storage.db import Db, Tx

LOG = log(__name__)
#: Why a call ended that nobody could answer, since control was away.
AWAY_REASON = "control_away"
UNCAPPED = rules.Caps(of_organization=sys.maxsize, of_caller=sys.maxsize)
Step = runtime_pb2.CarrierStep


async def route_inbound(
    db: Db,
    request: runtime_pb2.RouteCallRequest,
    token_seconds: int,
    lookup_keep: timedelta = timedelta(0),
    caps: rules.Caps = UNCAPPED,
    *,
    full: bool = False,
) -> Step:
    """The carrier's next step for an inbound call; asked again, the answer is the same.

    A caller whose last lookup is older than `lookup_keep` is looked up in the background; zero: no lookups.  `full`: no
    media process takes another call.  Raises NotFound.
    """
    at = now()
    async with db.system() as tx:
        known = await _known(tx, request.call_sid, request.to_e164)
        found = await calls.route(tx, request.to_e164, request.from_e164, request.carrier_account)
        if found is None:
            LOG.info("call to an unknown number")
            return _say(*sentence(Sentence.NOT_IN_SERVICE, None))
        decision = rules.route(_facts(found, request.from_e164, full=full), at, caps)
        if known is None:
            known = await _begin(tx, found, request, decision, at, lookup_keep)
        if known.status in rules.LIVE:
            return await _connect(tx, known, token_seconds, max(1, known.streams_offered))
        return _hang_up() if isinstance(decision, rules.Connect) else _refuse(decision)


async def record_apology(db: Db, request: runtime_pb2.RouteCallRequest, at: datetime) -> None:
    """Record a call whose caller heard an apology at this time, because control was away.  Doing it twice changes
    nothing.  Raises NotFound.
    """
    async with db.system() as tx:
        known = await _known(tx, request.call_sid, request.to_e164)
        if known is not None:
            if not known.streams_opened:  # control took the call, and its answer came too late
                await finish(tx, known, "failed", at, AWAY_REASON)
            return
        found = await calls.route(tx, request.to_e164, request.from_e164, request.carrier_account)
        if found is not None:
            apology = rules.Refuse("", None, "failed", AWAY_REASON)
            await _begin(tx, found, request, apology, at, timedelta(0))


async def _known(tx: Tx, call_sid: str, to_e164: str) -> CallState | None:
    """Lock a call that was stored; its id with another number is nothing that a carrier says.  Raises NotFound."""
    state = await calls.by_sid(tx, call_sid)
    if state is not None and state.to_e164 != to_e164:
        LOG.warning("a call's id came with another number", call=ids.show(Kind.CALL, state.id))
        raise NotFound("There is no such call to this number.")
    return state


def _facts(found: calls.RouteRow, caller: str, *, full: bool) -> rules.Facts:
    stored = found.business_hours_json
    return rules.Facts(
        blocked=found.blocked,
        number_active=found.status == "active",
        definition=found.definition if found.flow_id else None,
        business_hours_json=stored if stored and is_usable("business_hours_json", stored) else None,
        time_zone=found.time_zone,
        full=full,
        live_calls=found.live_calls,
        live_of_caller=0 if bad_e164(caller) else found.live_of_caller,
    )


async def _begin(
    tx: Tx,
    found: calls.RouteRow,
    request: runtime_pb2.RouteCallRequest,
    decision: rules.Decision,
    at: datetime,
    lookup_keep: timedelta,
) -> CallState:
    """Store the call, which may be over at once; or find the one that a duplicate of this request stored."""
    caller = await _meet(tx, found.org_id, request)
    call = NewCall(
        id=ids.new(),
        org_id=found.org_id,
        call_sid=request.call_sid,
        direction="inbound",
        status="ringing",
        from_e164=request.from_e164,
        to_e164=request.to_e164,
        number_id=found.number_id,
        flow_id=found.flow_id,
        flow_version=found.flow_version,
        contact_id=caller.id if caller else None,
        caller_verification=word(calls_pb2.CallerVerification, request.caller_verification),
        created_at=at,
    )
    if await calls.create(tx, call):
        await tell(tx, call.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_RINGING))
        if (
            caller
            and not isinstance(decision, rules.Reject)
            and rules.owes_lookup(caller.looked_up_at, at, lookup_keep)
        ):
            await jobs.enqueue(tx, LOOK_UP_CONTACT, found.org_id, caller.id)
        if not isinstance(decision, rules.Connect):
            await finish(tx, await calls.lock(tx, call.id), decision.status, at, decision.reason)
        return await calls.lock(tx, call.id)
    state = await calls.by_sid(tx, request.call_sid)
    assert state is not None, "a call that was not created exists already"
    return state


async def _meet(tx: Tx, org: UUID, request: runtime_pb2.RouteCallRequest) -> Met | None:
    """The caller's contact; a caller who withholds the number has none."""
    if bad_e164(request.from_e164):
        return None
    name = request.caller_name if request.HasField("caller_name") else None
    return await contacts.meet(tx, ids.new(), org, request.from_e164, name)


def _refuse(decision: rules.Refuse | rules.Reject) -> Step:
    if isinstance(decision, rules.Reject):
        return Step(reject=runtime_pb2.RejectCall(reason="rejected"))
    return _say(decision.text, decision.language)


async def _connect(tx: Tx, state: CallState, token_seconds: int, offered: int) -> Step:
    """Let the carrier open the call's stream, for the `offered`th time."""
    token = secrets.new_token()
    await calls.offer_token(tx, state.id, secrets.token_hash(token), token_seconds, offered)
    return Step(connect=runtime_pb2.ConnectStream(call_id=ids.show(Kind.CALL, state.id), token=token))


def _say(text: str, language: str | None) -> Step:
    return Step(say=runtime_pb2.SayAndHangUp(text=text, language=language))


def _hang_up() -> Step:
    return Step(hang_up=runtime_pb2.HangUpNow())


async def may_go_on(db: Db, id: UUID) -> bool:
    """Tell whether a call would be joined again when its stream has closed.  Raises NotFound."""
    async with db.system() as tx:
        state = await calls.look(tx, id)
    return isinstance(rules.after_stream(state.status, _streams(state), None), rules.Connect)


async def next_step(db: Db, id: UUID, call_sid: str, to_e164: str, token_seconds: int, *, full: bool = False) -> Step:
    """The next step for a call whose stream has closed.  `full`: no media process takes another.  Raises NotFound."""
    async with db.system() as tx:
        state = await calls.lock(tx, id)
        if (state.call_sid, state.to_e164) != (call_sid, to_e164):
            raise NotFound("There is no such call.")
        match rules.after_stream(state.status, _streams(state), await calls.language(tx, id), full=full):
            case rules.Connect():
                return await _connect(tx, state, token_seconds, state.streams_offered + 1)
            case rules.Refuse() as apology:
                await finish(tx, state, apology.status, now(), apology.reason)
                return _refuse(apology)
        return _hang_up()


def _streams(state: CallState) -> rules.Streams:
    return rules.Streams(max(state.streams_offered, state.streams_opened), state.streams_opened)


async def carrier_status(db: Db, call_sid: str, to_e164: str, carrier_status: str) -> None:
    """Take the carrier's status of a call.  It closes a call that never had a stream; any other is closed by the end of
    its stream, or by the sweep when that is never reported.  Raises NotFound.
    """
    ended = rules.CARRIER_ENDINGS.get(carrier_status)
    if ended is None:
        return
    async with db.system() as tx:
        state = await _known(tx, call_sid, to_e164)
        if state is None or state.status not in rules.LIVE:
            return
        if state.streams_opened:
            await calls.carrier_ended(tx, state.id)
        else:
            await finish(tx, state, ended, now(), "caller")
