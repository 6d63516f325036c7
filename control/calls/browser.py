"""Calls from browsers: their limits, the media process that answers, and the way of offer and answer.

    place ─▶ call and offer stored ─▶ bus ─▶ the process with that link ─▶ offer and token ─▶ media process
      ▲                                                                                           │
      └──────────────── reply stored ◀────────────────── link ◀───────────────────────────────────┘

The session descriptions are in the database, since the bus carries only short messages, and may lose them.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from control.actors import actor
from control.audit.usecases import append_action
from control.base import fairshare
from control.billing import limits
from control.bus import Bus
from control.calls import callendings, sdp
from control.calls.contextupdates import Callers
from control.calls.ending import end_call
from control.livecall.callstatus import LIVE
from control.livecall.channels import BROWSERS, COMMANDS
from control.livecall.stream import append_event
from hum import ids, secrets
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, RateLimited, Unavailable
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import browser_calls, calls, flows
from storage.browser_calls import ResultRow
from storage.db import Db, Tx

LOG = log(__name__)
MAX_ANSWER_CHARS, MAX_DETAIL_CHARS = 64 << 10, 200
#: A media process's reason for a call that a newer offer has replaced before it was connected.
GAVE_WAY = "gave_way"
NO_BROWSER_PROCESS = "No media process takes calls from browsers; start one with `hum media --browser`."


class BrowserCalls:
    """The placing of calls from browsers, for principals."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings, callers: Callers) -> None:
        self._db, self._bus, self._settings, self._callers = db, bus, settings, callers

    async def place(
        self, principal: Principal, request: calls_pb2.PlaceBrowserCallRequest, request_id: str
    ) -> tuple[str, str]:
        """Place a call and return its id and the media process's SDP answer.

        Raises InvalidRequest, NotFound, RateLimited, BillingRequired, Unavailable.
        """
        if (fault := sdp.fault(request.sdp)) is not None:
            raise InvalidRequest([FieldError("sdp", fault)])
        node, places = await self._node(principal.org_id)
        id = ids.new()
        answered = asyncio.Event()
        unsubscribe = self._bus.subscribe(BROWSERS, lambda call: answered.set() if call in {None, id} else None)
        try:
            async with self._db.tenant(principal.org_id) as tx:
                await self._create(tx, principal, id, node, places, request)
                await append_action(
                    tx,
                    principal.org_id,
                    principal,
                    "placeBrowserCall",
                    ids.show(Kind.CALL, id),
                    ("flow_id",),
                    request_id,
                )
            await self._bus.publish(COMMANDS, pb.NodeCommand(node=node, browser_call_id=ids.show(Kind.CALL, id)))
            result = await self._result(id, answered)
        finally:
            unsubscribe()
        if result.answer is not None:
            await self._callers.introduce(id)
            return ids.show(Kind.CALL, id), result.answer
        if result.refusal == "bad_offer":
            raise InvalidRequest([FieldError("sdp", result.detail or "can't be answered")])
        if result.detail == GAVE_WAY:
            raise RateLimited("Too many calls from browsers are being connected; try again in a moment.")
        raise Unavailable("The media process that takes calls from browsers did not answer; try again.")

    async def _node(self, org: UUID) -> tuple[str, int | None]:
        """Return the media process for a new call, and the places that the other organizations have left, if limited.

        Raises Unavailable.
        """
        silent = timedelta(seconds=self._settings.link_silent_seconds)
        async with self._db.system() as tx:
            row = await browser_calls.node(tx, silent, self._settings.zone)
            places = await browser_calls.places_left(tx, silent, org)
        if row is None:
            raise Unavailable(NO_BROWSER_PROCESS)
        if row.refuses is not None:
            raise Unavailable(f"The media processes that take calls from browsers take no more now: {row.refuses}.")
        return row.node, places

    async def _create(
        self,
        tx: Tx,
        principal: Principal,
        id: UUID,
        node: str,
        places: int | None,
        request: calls_pb2.PlaceBrowserCallRequest,
    ) -> None:
        flow = await flows.get(tx, ids.require(Kind.FLOW, request.flow_id))
        if flow.channel != "voice":
            raise InvalidRequest([FieldError("flow_id", "must be a flow for calls")])
        caller = actor(principal)
        live = await browser_calls.live(tx, principal.org_id, caller)
        if live.of_caller >= self._settings.max_calls_per_caller:
            raise RateLimited("You have too many calls from browsers at once; end one first.")
        if live.calls >= self._settings.max_calls_per_organization:
            raise RateLimited("Your organization has too many calls at once.")
        free = places - live.of_browsers if places is not None and live.of_browsers > 0 else None
        if free is not None and not fairshare.admits(live.of_browsers, free):
            raise RateLimited("Your organization has too many calls from browsers at once.")
        await limits.require(tx, principal.org_id, "minutes")
        await browser_calls.create(tx, id, principal.org_id, caller, flow.id, flow.version, node, request.sdp)
        await append_event(tx, id, now(), state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_RINGING))

    async def _result(self, id: UUID, answered: asyncio.Event) -> ResultRow:
        """Return the media process's reply, and end the call if none comes in time or if it is a refusal."""
        result = ResultRow(None, None, None)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.browser_answer_seconds):
                while result.answer is None and result.refusal is None:
                    await answered.wait()
                    answered.clear()
                    async with self._db.system() as tx:
                        result = await browser_calls.result(tx, id)
        async with self._db.system() as tx:
            await browser_calls.delete(tx, id)
            if result.answer is None:
                await end_unjoined(tx, id, result)
        return result


class BrowserOffers:
    """The offers for the media processes with links to this process."""

    def __init__(self, db: Db, token_seconds: int) -> None:
        self._db, self._token_seconds = db, token_seconds

    async def claim(self, node: str, call_id: str) -> pb.BrowserOffer | None:
        """Remove and return a call's offer for this media process, with its stream's token; None if it is gone."""
        id = ids.parse(Kind.CALL, call_id)
        if id is None:
            return None
        async with self._db.system() as tx:
            state = await calls.lock(tx, id)
            offer = await browser_calls.claim(tx, id, node)
            if offer is None or state.status not in LIVE:
                return None
            token = secrets.new_token()
            await browser_calls.offer_token(tx, id, secrets.token_hash(token), self._token_seconds)
        return pb.BrowserOffer(
            call_id=call_id, token=token, sdp=offer.sdp, organization_id=ids.show(Kind.ORGANIZATION, offer.org_id)
        )

    async def reply(self, node: str, reply: pb.BrowserReply) -> None:
        """Store a media process's reply to an offer, and end the call if it could not be connected."""
        id, kind = ids.parse(Kind.CALL, reply.call_id), reply.WhichOneof("reply")
        if id is None or kind is None:
            return
        text = getattr(reply, kind)
        if kind == "answer":
            result = ResultRow(text[:MAX_ANSWER_CHARS], None, None)
        else:
            result = ResultRow(None, kind, text[:MAX_DETAIL_CHARS])
        async with self._db.system() as tx:
            if not await browser_calls.reply(tx, id, node, result):
                LOG.warning(
                    "ignored a reply to an offer that is not this media process's", node=node, call=reply.call_id
                )
            elif kind == "failed":
                await end_unjoined(tx, id, result)


async def end_unjoined(tx: Tx, id: UUID, result: ResultRow) -> None:
    """End a call that never had a stream, if it is still live."""
    state = await calls.lock(tx, id)
    if state.status in LIVE and not state.streams_opened:
        status, reason = callendings.not_connected(result.refusal)
        await end_call(tx, state, status, now(), reason, result.detail)
