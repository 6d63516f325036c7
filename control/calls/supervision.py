"""Supervision of a live call by people: end it, instruct its agent, have the agent say something, hand it over, listen.

The response says whether it was done.  While a media process or the carrier is asked, no transaction is open and the
call's row is not locked.
"""

from uuid import UUID

from control.audit.usecases import append_action
from control.base.wire import timestamp
from control.boundary import ActionContext, TenantContext
from control.bus import Bus
from control.calls import calllimits
from control.calls.hangups import HangUps
from control.clients.twilio import CarrierClient
from control.livecall.commands import DONE, FULL, UNKNOWN, Commands, own_id
from control.livecall.state import require_live
from hum import ids
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, NotFound, RateLimited, Unavailable
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import flow_switches, flows, interventions
from storage.calls import CallStateRow
from storage.db import BUSY, UNAVAILABLE, Db

LOG = log(__name__)
MAX_NAME_CHARS = 100
NO_AGENT = "No agent is on the call at the moment."
TEXTS_LIMIT = (
    "The agent has been told as much as a call may hold, or five texts wait to be said already; try again later."
)


class CallSupervision:
    """The actions of people on live calls."""

    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings) -> None:
        self._db, self._commands = db, Commands(db, bus, settings)
        self._hang_ups = HangUps(db, bus, carrier, settings)

    async def hang_up(self, ctx: ActionContext, id: UUID) -> None:
        """End a live call.  Raises NotFound, InvalidState, CarrierError, Unavailable."""
        state = await self._record_action(ctx, id, "hangUpCall", ())
        if not await self._hang_ups.hang_up(state):
            raise Unavailable(UNKNOWN)
        await self._commands.until_over(ctx.organization, id)

    async def intervene(self, ctx: ActionContext, id: UUID, kind: str, text: str) -> calls_pb2.Intervention:
        """Instruct the agent (`instruct`), or have it say something (`say`).

        Raises NotFound, InvalidState, RateLimited, Unavailable.
        """
        action = "instructAgent" if kind == "instruct" else "sayOnCall"
        state = await self._record_action(ctx, id, action, ("text",))
        intervention = own_id(ctx, kind)
        name = ids.show(Kind.INTERVENTION, intervention)
        # A request with this idempotency key may have succeeded before.
        if (earlier := await self._find_earlier(ctx, id, intervention)) is not None:
            return earlier
        if not await self._commands.reaches(state):
            raise InvalidState(NO_AGENT)
        assert state.node is not None, "a process has the call"
        dictation = pb.Dictation(text=text, by=ctx.principal.name[:MAX_NAME_CHARS])
        command = pb.CallCommand(call_id=ids.show(Kind.CALL, id), command_id=name)
        getattr(command, kind).CopyFrom(dictation)
        outcome = await self._commands.carry_out(state.node, command)
        if outcome == DONE:
            return calls_pb2.Intervention(id=name, kind=kind, text=text, by=dictation.by, at=timestamp(now()))
        if outcome == FULL:
            raise RateLimited(TEXTS_LIMIT)
        if outcome is None:
            raise Unavailable(UNKNOWN)
        raise InvalidState(NO_AGENT)

    async def switch_flow(self, ctx: ActionContext, id: UUID, flow_id: str) -> None:
        """Switch the call to another flow's agent.  Raises NotFound, InvalidState, InvalidRequest, Unavailable."""
        async with self._db.tenant(ctx.organization) as tx:
            try:
                flow = await flows.get(tx, ids.require(Kind.FLOW, flow_id))
            except NotFound:
                raise InvalidRequest([FieldError("flow_id", "there is no such flow")]) from None
            if flow.channel != "voice":
                raise InvalidRequest([FieldError("flow_id", "is not a voice flow")])
            if await flow_switches.count(tx, id) >= calllimits.MAX_FLOW_SWITCHES:
                raise InvalidState("The call was handed over too often.")
        state = await self._record_action(ctx, id, "transferCall", ("flow_id",))
        if not await self._commands.reaches(state):
            raise InvalidState(NO_AGENT)
        assert state.node is not None, "a process has the call"
        switch = pb.SwitchFlow(flow_id=ids.show(Kind.FLOW, flow.id), flow_version=flow.version)
        command = pb.CallCommand(
            call_id=ids.show(Kind.CALL, id),
            command_id=ids.show(Kind.INTERVENTION, own_id(ctx, "switch")),
            switch=switch,
        )
        outcome = await self._commands.carry_out(state.node, command)
        if outcome is None:
            raise Unavailable(UNKNOWN)
        if outcome != DONE:
            raise InvalidState(NO_AGENT)

    async def begin_listening(self, ctx: TenantContext, id: UUID) -> None:
        """Record in the audit log that a person begins to listen to a live call.  Raises NotFound, InvalidState."""
        await self._record_action(ctx, id, "listenToCall", ())

    async def end_listening(self, ctx: TenantContext, id: UUID) -> None:
        """Record in the audit log that a person stopped listening."""
        org = ctx.organization
        try:
            async with self._db.tenant(org) as tx:
                await append_action(
                    tx, org, ctx.principal, "stopListeningToCall", ids.show(Kind.CALL, id), (), ctx.request_id
                )
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning(
                "could not record the end of listening in the audit log",
                call=ids.show(Kind.CALL, id),
                error=repr(error)[:200],
            )

    async def _record_action(self, ctx: TenantContext, id: UUID, action: str, fields: tuple[str, ...]) -> CallStateRow:
        """Record an action on a live call in the audit log, and return the call's state.

        Raises NotFound, InvalidState.
        """
        org = ctx.organization
        async with self._db.tenant(org) as tx:
            state = await require_live(tx, id)
            await append_action(tx, org, ctx.principal, action, ids.show(Kind.CALL, id), fields, ctx.request_id)
        return state

    async def _find_earlier(self, ctx: ActionContext, call: UUID, id: UUID) -> calls_pb2.Intervention | None:
        if ctx.key is None:
            return None
        async with self._db.tenant(ctx.organization) as tx:
            row = await interventions.find(tx, call, id)
        if row is None:
            return None
        return calls_pb2.Intervention(
            id=ids.show(Kind.INTERVENTION, row.id),
            kind=row.kind,
            text=row.text,
            by=row.by,
            at=timestamp(row.at),
            at_ms=row.at_ms,
        )
