"""The carrier's next steps for a call: when it rings, when its stream or dial is over, when its status changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control import jobs
from control.base.wire import word
from control.billing import limits
from control.boundary import RequestContext
from control.bus import Bus
from control.calls import callendings, routing
from control.calls.admission import CallAdmission, StreamOffer
from control.calls.ending import end_call, ended_by_gateway, over_at_carrier
from control.calls.prompts import CallerPrompt, localized
from control.contacts.carrierlookups import LOOK_UP_CONTACT, is_lookup_due
from control.flows.choices import Choices
from control.flows.definitions import is_usable, usable_hours
from control.livecall.callerid import is_vouched_for
from control.livecall.callstatus import AWAY_REASON, CARRIER_ENDINGS, LIVE
from control.livecall.nextsteps import NextStep, TakeMessage, Transfer, decode, encode, is_due
from control.livecall.stream import append_event
from control.transfers import record, transferleg
from control.usage import callentries as usage
from control.voicemail.mailboxprompts import Mailboxes
from control.voicemail.messageparts import speaking_seconds
from hum import ids, visibletext
from hum.clock import monotonic_ms, now
from hum.contract.errors import NotFound
from hum.contract.validation import bad_e164
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import calls_pb2, runtime_pb2
from storage import calls, contacts, routes
from storage.calls import CallStateRow, NewCall
from storage.contacts import CallerContact
from storage.db import Db, Tx

#: Seconds before the gateway's patience ends at which a caller is told that there is no place.
PLACE_REPLY_SECONDS = 1.0
#: Seconds that a telephone rings to which a call is transferred, unless the flow says otherwise.
TRANSFER_RING_SECONDS = 25

LOG = log(__name__)
Step = runtime_pb2.CarrierStep


@dataclass(frozen=True, slots=True)
class StepContext:
    """The dependencies and limits of an answer to the carrier."""

    admission: CallAdmission
    mailboxes: Mailboxes
    ring_seconds: int
    #: Until when the call may wait for a place, on the monotonic clock.
    until_ms: float = 0
    #: The zone of the gateway that sent the request.
    zone: str = ""
    #: The countries to which a call may be transferred besides the called number's own.
    countries: frozenset[str] = frozenset()


class StepContexts:
    """The composed dependencies of answers to the carrier."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._admission, self._settings = CallAdmission(db, bus, settings), settings
        self._mailboxes = Mailboxes(Choices.of(settings))

    def context(self, ctx: RequestContext) -> StepContext:
        """Return the context of an answer, with a wait for a place that ends before the gateway's deadline.

        So the caller hears our prompt for a full deployment, not the gateway's apology.
        """
        wait, left_seconds = self._settings.room_seconds, ctx.context.time_remaining()
        if left_seconds is not None:
            wait = max(0.0, min(wait, left_seconds - PLACE_REPLY_SECONDS))
        until_ms = monotonic_ms() + wait * 1000
        return StepContext(
            self._admission, self._mailboxes, TRANSFER_RING_SECONDS, until_ms, ctx.zone, self._settings.countries
        )


async def route_inbound(
    db: Db, context: StepContext, request: runtime_pb2.RouteCallRequest, lookup_keep: timedelta = timedelta(0)
) -> Step:
    """Route an inbound call and return the carrier's next step; idempotent.

    A caller with a last lookup older than `lookup_keep` is looked up in the background; zero: no lookups.  Raises
    NotFound.
    """
    at = now()
    async with db.system() as tx:
        state = await _lock_by_sid(tx, request.call_sid, request.to_e164)
        route = await _find_route(tx, request)
        if route is None:
            LOG.info("call to an unknown number")
            return _say_and_hang_up(*localized(CallerPrompt.NOT_IN_SERVICE, None))
        decision = routing.route(await _routing_facts(tx, route), at)
        if state is None:
            state = await _create_call(tx, route, request, decision, at, lookup_keep)
        if state.status not in LIVE:
            decision = routing.no_place(state.end_reason, route.definition.get("language")) or decision
            return _hang_up() if isinstance(decision, routing.Connect | TakeMessage) else _refusal_step(decision)
    return await offer(db, context, state.id)


async def record_apology(db: Db, request: runtime_pb2.RouteCallRequest, at: datetime) -> None:
    """Record a call that got an apology at this time because control was unavailable; idempotent.

    Raises NotFound.
    """
    async with db.system() as tx:
        state = await _lock_by_sid(tx, request.call_sid, request.to_e164)
        if state is not None:
            # Control routed the call, but its answer came too late.  If the call has a stream, or was created after the
            # apology, the carrier has requested again, and got an answer.
            if not state.streams_opened and state.created_at <= at:
                await ended_by_gateway(tx, state, at)
            return
        route = await _find_route(tx, request)
        if route is not None:
            apology = routing.Refuse("", None, "failed", AWAY_REASON)
            await _create_call(tx, route, request, apology, at, timedelta(0))


async def record_next_apology(db: Db, request: runtime_pb2.NextStepRequest, at: datetime) -> None:
    """Record that a call got an apology at this time in place of its next step, because control was unavailable; idempotent.

    Raises NotFound.
    """
    async with db.system() as tx:
        state = await _lock_for_step(tx, request)
        if request.carrier_status not in CARRIER_ENDINGS:
            await ended_by_gateway(tx, state, at)


async def _lock_for_step(tx: Tx, request: runtime_pb2.NextStepRequest) -> CallStateRow:
    """Lock and return the call of a request for its next step.  Raises NotFound."""
    state = await calls.lock(tx, ids.require(Kind.CALL, request.call_id))
    if (state.call_sid, state.to_e164) != (request.call_sid, request.to_e164):
        raise NotFound("There is no such call.")
    return state


async def next_step(db: Db, context: StepContext, request: runtime_pb2.NextStepRequest) -> Step:
    """Return the next step for a call with a closed stream.  Raises NotFound."""
    async with db.system() as tx:
        state = await _lock_for_step(tx, request)
        if request.carrier_status in CARRIER_ENDINGS and state.next_step_due and state.status in LIVE:
            # The caller hung up while the stream was left.
            await end_call(tx, state, "completed", now(), "caller")
            return _hang_up()
        step = await _take_step(tx, context, state)
    return step or await offer(db, context, state.id, again=True)


async def after_dial(db: Db, context: StepContext, request: runtime_pb2.EndDialRequest) -> Step:
    """Return the next step for a call after its dial; idempotent.  Raises NotFound."""
    async with db.system() as tx:
        state = await _end_dial(tx, request, now(), apologized=False)
        # A repeated request: the call is in its next stream already.
        if state.node is not None:
            return _hang_up()
        step = await _take_step(tx, context, state)
    return step or await offer(db, context, state.id, again=True)


async def record_dial(db: Db, request: runtime_pb2.EndDialRequest, at: datetime) -> None:
    """Record the end of a dial that ended while control was unavailable; idempotent.  Raises NotFound."""
    async with db.system() as tx:
        state = await _end_dial(tx, request, at, apologized=True)
        if request.carrier_status not in CARRIER_ENDINGS and not request.bridged:
            # The dial was over before: by the carrier's status, or by an answer of ours that came too late.
            await ended_by_gateway(tx, state, at)


async def _end_dial(tx: Tx, request: runtime_pb2.EndDialRequest, at: datetime, *, apologized: bool) -> CallStateRow:
    """Record the end of a dial, and that of the call if it is over with it; return the locked call.  Raises NotFound."""
    state, ended = await transferleg.record_end(tx, request, at, apologized=apologized)
    if ended is None:
        return state
    await end_call(tx, state, ended.status, at, ended.reason)
    return await calls.lock(tx, state.id)


async def carrier_status(
    db: Db, call_sid: str, to_e164: str, carrier_status: str, lasted_seconds: int | None = None
) -> None:
    """Record the carrier's status of a call, and close the call if it ended without ever having a stream.

    Any other call is closed by the end of its stream, or by the sweep if that is never reported.  Raises NotFound.
    """
    ended = CARRIER_ENDINGS.get(carrier_status)
    if ended is None:
        return
    async with db.system() as tx:
        state = await _lock_by_sid(tx, call_sid, to_e164)
        if state is not None and lasted_seconds is not None:
            await usage.record_call_duration(tx, state, lasted_seconds)
        if state is None or state.status not in LIVE:
            return
        if not state.streams_opened:
            await end_call(tx, state, ended, now(), "caller")
        else:
            await over_at_carrier(tx, state, now())


async def _find_route(tx: Tx, request: runtime_pb2.RouteCallRequest) -> calls.CallRouteRow | None:
    """Return the route of a called number, with the flow that answers this caller; None if the number is unknown.

    A contact's tag may choose the flow, unless caller ID failed STIR/SHAKEN: the number may be spoofed.  A tag is
    ignored if its flow is gone or no longer answers calls.
    """
    route = await calls.route(tx, request.to_e164, request.from_e164, request.carrier_account)
    if route is None or not route.tags or request.caller_verification == calls_pb2.CALLER_VERIFICATION_FAILED:
        return route
    route_tags = route.definition.get("route_tags_json")
    name = (
        routing.route_tag(route_tags, route.tags) if route_tags and is_usable("route_tags_json", route_tags) else None
    )
    flow = ids.parse(Kind.FLOW, name) if name else None
    return (await routes.with_flow(tx, route, flow) if flow else None) or route


async def _routing_facts(tx: Tx, route: calls.CallRouteRow) -> routing.RoutingFacts:
    return routing.RoutingFacts(
        blocked=route.blocked,
        number_active=route.status == "active",
        definition=route.definition if route.flow_id else None,
        business_hours_json=usable_hours(route.business_hours_json),
        time_zone=route.time_zone,
        is_within_plan=await limits.has_quota(tx, route.org_id, "minutes"),
    )


async def _create_call(
    tx: Tx,
    route: calls.CallRouteRow,
    request: runtime_pb2.RouteCallRequest,
    decision: routing.Decision,
    at: datetime,
    lookup_keep: timedelta,
) -> CallStateRow:
    """Store the call, and close it at once if it was refused; return the stored one for a duplicate request."""
    caller = await _upsert_caller(tx, route.org_id, request)
    call = NewCall(
        id=ids.new(),
        org_id=route.org_id,
        call_sid=request.call_sid,
        direction="inbound",
        status="ringing",
        from_e164=request.from_e164,
        to_e164=request.to_e164,
        number_id=route.number_id,
        flow_id=route.flow_id,
        flow_version=route.flow_version,
        contact_id=caller.id if caller else None,
        caller_verification=word(calls_pb2.CallerVerification, request.caller_verification),
        created_at=at,
        carrier_account=request.carrier_account,
    )
    if await calls.create(tx, call):
        await append_event(tx, call.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_RINGING))
        if caller and not isinstance(decision, routing.Reject) and is_lookup_due(caller.looked_up_at, at, lookup_keep):
            await jobs.enqueue(tx, LOOK_UP_CONTACT, route.org_id, caller.id)
        if isinstance(decision, TakeMessage):
            await calls.set_next_step(tx, call.id, encode(decision), due=True)
        elif not isinstance(decision, routing.Connect):
            await end_call(tx, await calls.lock(tx, call.id), decision.status, at, decision.reason)
        return await calls.lock(tx, call.id)
    state = await calls.lock_by_sid(tx, request.call_sid)
    assert state is not None, "a call that was not created exists already"
    return state


async def _upsert_caller(tx: Tx, org: UUID, request: runtime_pb2.RouteCallRequest) -> CallerContact | None:
    """Create or update the caller's contact, with the carrier's name for the number if the network vouches for it.

    Return None if the number is withheld.
    """
    if bad_e164(request.from_e164):
        return None
    verification = word(calls_pb2.CallerVerification, request.caller_verification)
    is_genuine = is_vouched_for(verification, "inbound", request.from_e164, request.to_e164)
    name = visibletext.line(request.caller_name) or None if is_genuine else None
    return await contacts.find_or_create(tx, ids.new(), org, request.from_e164, name)


async def _take_step(tx: Tx, context: StepContext, state: CallStateRow) -> Step | None:
    """Take the next step of a locked call and return it; None to offer another stream."""
    language, due = await calls.language(tx, state.id), _due(state)
    if isinstance(due, Transfer) and state.status in LIVE:
        step = await transferleg.dial(tx, state, due, context.ring_seconds, context.countries)
        if step is not None:
            return step
        # The transfer is over; if it was refused, the call may go to the mailbox.
        state = await calls.lock(tx, state.id)
        due = None if isinstance(due := _due(state), Transfer) else due
    match callendings.after_stream(state.status, _streams(state), language, due):
        case TakeMessage():
            return None
        case routing.Connect():
            # The agent of the next stream decides anew.
            await record.discard_next_step(tx, state, now())
            return None
        case routing.Refuse() as apology:
            await end_call(tx, state, apology.status, now(), apology.reason)
            return _refusal_step(apology) if state.direction == "inbound" else _hang_up()
    return await _closing_step(tx, context, state, due)


async def _closing_step(tx: Tx, context: StepContext, state: CallStateRow, due: NextStep | None) -> Step:
    """Hang up a call that is over, after the mailbox's closing prompt if its stream could not play it."""
    last = (
        await context.mailboxes.parting(tx, state.id, due, state.end_reason) if isinstance(due, TakeMessage) else None
    )
    return Step(say=last) if last is not None else _hang_up()


async def offer(db: Db, context: StepContext, id: UUID, *, again: bool = False) -> Step:
    """Have the carrier open a stream of a live call, or end the call if there is no place for it."""
    result = await context.admission.place(id, context.until_ms, again=again, zone=context.zone)
    if isinstance(result, StreamOffer):
        connect = runtime_pb2.ConnectStream(call_id=ids.show(Kind.CALL, id), token=result.token, media_url=result.url)
        first = await _prepare_message(db, context.mailboxes, id)
        if first is not None:
            connect.say_first.CopyFrom(first)
        return Step(connect=connect)
    async with db.system() as tx:
        state = await calls.lock(tx, id)
        if state.status not in LIVE:
            return _hang_up()
        language = await calls.language(tx, id)
        refusal = routing.no_place(result.reason, language) or routing.no_capacity(language)
        if again:
            after = callendings.after_stream(state.status, _streams(state), language, _due(state), full=True)
            refusal = after if isinstance(after, routing.Refuse) else refusal
        await end_call(tx, state, refusal.status, now(), refusal.reason)
    # The prompt asks the caller to call again, which makes no sense to the party of an outbound call.
    return _refusal_step(refusal) if state.direction == "inbound" else _hang_up()


async def _prepare_message(db: Db, mailboxes: Mailboxes, id: UUID) -> runtime_pb2.SayFirst | None:
    """Return what the carrier says before the stream that was offered, and extend the stream's token by that time."""
    async with db.system() as tx:
        due = _due(await calls.lock(tx, id))
        first = await mailboxes.prepare(tx, id, due) if isinstance(due, TakeMessage) else None
        if first is not None:
            await calls.extend_token(tx, id, speaking_seconds(first.text))
    return first


async def _lock_by_sid(tx: Tx, call_sid: str, to_e164: str) -> CallStateRow | None:
    """Lock and return a stored call; None if there is none.  Raises NotFound if the number is not the call's."""
    state = await calls.lock_by_sid(tx, call_sid)
    if state is not None and state.to_e164 != to_e164:
        LOG.warning("refused a call's id with another number", call=ids.show(Kind.CALL, state.id))
        raise NotFound("There is no such call to this number.")
    return state


def _streams(state: CallStateRow) -> callendings.StreamCounts:
    offered, left = max(state.streams_offered, state.streams_opened), state.streams_left
    return callendings.StreamCounts(offered - left, state.streams_opened - left, max(0, state.streams_lately - left))


def _due(state: CallStateRow) -> NextStep | None:
    step = decode(state.next_step)
    return step if is_due(step, marked=state.next_step_due) else None


def _refusal_step(decision: routing.Refuse | routing.Reject) -> Step:
    if isinstance(decision, routing.Reject):
        return Step(reject=runtime_pb2.RejectCall(reason="rejected"))
    return _say_and_hang_up(decision.text, decision.language)


def _say_and_hang_up(text: str, language: str | None) -> Step:
    return Step(say=runtime_pb2.SayAndHangUp(text=text, language=language))


def _hang_up() -> Step:
    return Step(hang_up=runtime_pb2.HangUpNow())
