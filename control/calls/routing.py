"""Answers to the carrier about a call: when it rings, when its stream has closed, when its status changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control import jobs
from control.base.wire import word
from control.billing import limits
from control.boundary import Call
from control.bus import Bus
from control.calls import rules
from control.calls.ending import finish, over_at_carrier
from control.calls.owed import Message, Owed, Transfer, is_due, read, stored
from control.calls.room import Offer, Rooms
from control.calls.sentences import Sentence, sentence
from control.calls.stream import tell
from control.contacts.rules import LOOK_UP_CONTACT
from control.flows.choices import Choices
from control.flows.stored import is_usable
from control.transfers import dialing, record
from control.usage import record as usage
from control.voicemail.rules import speaking_seconds
from control.voicemail.usecases import Mailboxes
from hum import ids
from hum.clock import monotonic_ms, now
from hum.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.telemetry import log
from hum.v1 import calls_pb2, runtime_pb2
from hum.validation import bad_e164
from storage import calls, contacts, routes
from storage.calls import CallState, NewCall
from storage.contacts import Met
from storage.db import Db, Tx

LOG = log(__name__)
Step = runtime_pb2.CarrierStep


@dataclass(frozen=True, slots=True)
class Means:
    """What an answer to the carrier may need."""

    rooms: Rooms
    mailboxes: Mailboxes
    ring_seconds: int
    until_ms: float = 0  # how long the call may wait for a place, on the monotonic clock
    zone: str = ""  # of the gateway that asks


class Desk:
    """Where the carrier's questions are answered."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._rooms, self._settings = Rooms(db, bus, settings), settings
        self._mailboxes = Mailboxes(Choices.of(settings))

    def means(self, asked_by: Call) -> Means:
        """A caller waits for a place only as long as the gateway does: a sentence of ours is better than its own."""
        wait, left = self._settings.room_seconds, asked_by.context.time_remaining()
        if left is not None:
            wait = max(0.0, min(wait, left - self._settings.room_reply_seconds))
        until_ms = monotonic_ms() + wait * 1000
        return Means(self._rooms, self._mailboxes, self._settings.transfer_ring_seconds, until_ms, asked_by.zone)


async def route_inbound(
    db: Db, means: Means, request: runtime_pb2.RouteCallRequest, lookup_keep: timedelta = timedelta(0)
) -> Step:
    """The carrier's next step for an inbound call; asked again, the answer is the same.

    A caller whose last lookup is older than `lookup_keep` is looked up in the background; zero: no lookups.  Raises
    NotFound.
    """
    at = now()
    async with db.system() as tx:
        known = await _known(tx, request.call_sid, request.to_e164)
        found = await _find(tx, request)
        if found is None:
            LOG.info("call to an unknown number")
            return _say(*sentence(Sentence.NOT_IN_SERVICE, None))
        decision = rules.route(await _facts(tx, found), at)
        if known is None:
            known = await _begin(tx, found, request, decision, at, lookup_keep)
        if known.status not in rules.LIVE:
            decision = rules.no_place(known.end_reason, found.definition.get("language")) or decision
            return _hang_up() if isinstance(decision, rules.Connect | Message) else _refuse(decision)
    return await offer(db, means, known.id)


async def _find(tx: Tx, request: runtime_pb2.RouteCallRequest) -> calls.RouteRow | None:
    """What is known of a called number, with the flow that answers this caller.

    A caller's tags choose the flow, unless the phone network says that their number may be forged.  A tag's flow that is
    gone, or answers no calls any more, chooses nothing.
    """
    found = await calls.route(tx, request.to_e164, request.from_e164, request.carrier_account)
    if found is None or not found.tags or request.caller_verification == calls_pb2.CALLER_VERIFICATION_FAILED:
        return found
    routed = found.definition.get("route_tags_json")
    name = rules.route_tag(routed, found.tags) if routed and is_usable("route_tags_json", routed) else None
    flow = ids.parse(Kind.FLOW, name) if name else None
    return (await routes.tagged(tx, found, flow) if flow else None) or found


async def offer(db: Db, means: Means, id: UUID, *, again: bool = False) -> Step:
    """Have the carrier open a stream of a live call; or, when there is no place for it, end the call."""
    placed = await means.rooms.place(id, means.until_ms, again=again, zone=means.zone)
    if isinstance(placed, Offer):
        connect = runtime_pb2.ConnectStream(call_id=ids.show(Kind.CALL, id), token=placed.token, media_url=placed.url)
        first = await _say_first(db, means.mailboxes, id)
        if first is not None:
            connect.say_first.CopyFrom(first)
        return Step(connect=connect)
    async with db.system() as tx:
        state = await calls.lock(tx, id)
        if state.status not in rules.LIVE:
            return _hang_up()
        language = await calls.language(tx, id)
        refusal = rules.no_place(placed.reason, language) or rules.no_room(language)
        if again:
            after = rules.after_stream(state.status, _streams(state), language, _due(state), full=True)
            refusal = after if isinstance(after, rules.Refuse) else refusal
        await finish(tx, state, refusal.status, now(), refusal.reason)
    # Whoever was called is not asked to call again.
    return _refuse(refusal) if state.direction == "inbound" else _hang_up()


async def _say_first(db: Db, mailboxes: Mailboxes, id: UUID) -> runtime_pb2.SayFirst | None:
    """What the carrier says before the stream that a call was offered; the stream's token waits for that."""
    async with db.system() as tx:
        due = _due(await calls.lock(tx, id))
        first = await mailboxes.prepare(tx, id, due) if isinstance(due, Message) else None
        if first is not None:
            await calls.extend_token(tx, id, speaking_seconds(first.text))
    return first


async def record_apology(db: Db, request: runtime_pb2.RouteCallRequest, at: datetime) -> None:
    """Record a call whose caller heard an apology at this time, because control was away.  Doing it twice changes
    nothing.  Raises NotFound.
    """
    async with db.system() as tx:
        known = await _known(tx, request.call_sid, request.to_e164)
        if known is not None:
            # Control took the call, and its answer came too late; unless the carrier has asked again since, and has an answer.
            if not known.streams_opened and known.created_at <= at:
                await finish(tx, known, "failed", at, rules.AWAY_REASON)
            return
        found = await _find(tx, request)
        if found is not None:
            apology = rules.Refuse("", None, "failed", rules.AWAY_REASON)
            await _begin(tx, found, request, apology, at, timedelta(0))


async def _known(tx: Tx, call_sid: str, to_e164: str) -> CallState | None:
    """Lock a call that was stored; its id with another number is nothing that a carrier says.  Raises NotFound."""
    state = await calls.by_sid(tx, call_sid)
    if state is not None and state.to_e164 != to_e164:
        LOG.warning("a call's id came with another number", call=ids.show(Kind.CALL, state.id))
        raise NotFound("There is no such call to this number.")
    return state


async def _facts(tx: Tx, found: calls.RouteRow) -> rules.Facts:
    stored = found.business_hours_json
    return rules.Facts(
        blocked=found.blocked,
        number_active=found.status == "active",
        definition=found.definition if found.flow_id else None,
        business_hours_json=stored if stored and is_usable("business_hours_json", stored) else None,
        time_zone=found.time_zone,
        is_within_plan=await limits.has_room(tx, found.org_id, "minutes"),
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
        carrier_account=request.carrier_account,
    )
    if await calls.create(tx, call):
        await tell(tx, call.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_RINGING))
        if (
            caller
            and not isinstance(decision, rules.Reject)
            and rules.owes_lookup(caller.looked_up_at, at, lookup_keep)
        ):
            await jobs.enqueue(tx, LOOK_UP_CONTACT, found.org_id, caller.id)
        if isinstance(decision, Message):
            await calls.owe(tx, call.id, stored(decision), due=True)
        elif not isinstance(decision, rules.Connect):
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


def _say(text: str, language: str | None) -> Step:
    return Step(say=runtime_pb2.SayAndHangUp(text=text, language=language))


def _hang_up() -> Step:
    return Step(hang_up=runtime_pb2.HangUpNow())


async def next_step(db: Db, means: Means, request: runtime_pb2.NextStepRequest) -> Step:
    """The next step for a call whose stream has closed.  Raises NotFound."""
    async with db.system() as tx:
        state = await calls.lock(tx, ids.require(Kind.CALL, request.call_id))
        if (state.call_sid, state.to_e164) != (request.call_sid, request.to_e164):
            raise NotFound("There is no such call.")
        if request.carrier_status in rules.CARRIER_ENDINGS and state.owed_due and state.status in rules.LIVE:
            await finish(tx, state, "completed", now(), "caller")  # while the stream was left
            return _hang_up()
        step = await _next(tx, means, state)
    return step or await offer(db, means, state.id, again=True)


async def after_dial(db: Db, means: Means, request: runtime_pb2.EndDialRequest) -> Step:
    """The next step for a call whose dial is over; asked again, it is the same.  Raises NotFound."""
    async with db.system() as tx:
        state = await dialing.ended(tx, request, now(), apologized=False)
        if state.node is not None:
            return _hang_up()  # the carrier has had its answer, and the call is in its next stream
        step = await _next(tx, means, state)
    return step or await offer(db, means, state.id, again=True)


async def record_dial(db: Db, request: runtime_pb2.EndDialRequest, at: datetime) -> None:
    """Record the end of a dial that control was away for; doing it twice changes nothing.  Raises NotFound."""
    async with db.system() as tx:
        await dialing.ended(tx, request, at, apologized=True)


async def _next(tx: Tx, means: Means, state: CallState) -> Step | None:
    """What a locked call does next; None: it has another stream, if there is a place for it."""
    language, due = await calls.language(tx, state.id), _due(state)
    if isinstance(due, Transfer) and state.status in rules.LIVE:
        if (step := await dialing.dial(tx, state, due, means.ring_seconds)) is not None:
            return step
        due = None  # it is over: nothing is owed
    match rules.after_stream(state.status, _streams(state), language, due):
        case Message():
            return None
        case rules.Connect():  # its agent is back
            await record.forget_owed(tx, state, now())
            return None
        case rules.Refuse() as apology:
            await finish(tx, state, apology.status, now(), apology.reason)
            return _refuse(apology) if state.direction == "inbound" else _hang_up()
    return await _part(tx, means, state, due)


async def _part(tx: Tx, means: Means, state: CallState, due: Owed | None) -> Step:
    """A call that is over: hang up, after the mailbox's last words if it could not say them itself."""
    last = await means.mailboxes.parting(tx, state.id, due, state.end_reason) if isinstance(due, Message) else None
    return Step(say=last) if last is not None else _hang_up()


def _streams(state: CallState) -> rules.Streams:
    offered, left = max(state.streams_offered, state.streams_opened), state.streams_left
    return rules.Streams(offered - left, state.streams_opened - left, max(0, state.streams_lately - left))


def _due(state: CallState) -> Owed | None:
    owed = read(state.owed)
    return owed if is_due(owed, marked=state.owed_due) else None


async def carrier_status(
    db: Db, call_sid: str, to_e164: str, carrier_status: str, lasted_seconds: int | None = None
) -> None:
    """Take the carrier's status of a call.  It closes a call that never had a stream; any other is closed by the end of
    its stream, or by the sweep when that is never reported.  Raises NotFound.
    """
    ended = rules.CARRIER_ENDINGS.get(carrier_status)
    if ended is None:
        return
    async with db.system() as tx:
        state = await _known(tx, call_sid, to_e164)
        if state is not None and lasted_seconds is not None:
            await usage.lasted(tx, state, lasted_seconds)
        if state is None or state.status not in rules.LIVE:
            return
        if not state.streams_opened:
            await finish(tx, state, ended, now(), "caller")
        else:
            await over_at_carrier(tx, state, now())
