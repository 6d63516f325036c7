"""What people do with a live call: end it, tell its agent something, have it say something.

Whoever asks learns whether it was done.  The call's row is not locked, and no transaction is open, while a media process or
the carrier is asked.
"""

from uuid import UUID

from control.audit.usecases import note
from control.base.wire import timestamp
from control.boundary import Call
from control.bus import Bus
from control.calls import ending, rules
from control.calls.commands import DONE, FULL, UNKNOWN, Commands, own_id
from control.calls.stream import restore
from control.clients.twilio import Carrier
from hum import ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, InvalidState, NotFound, RateLimited, Unavailable
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.telemetry import log
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import flow_switches, flows, interventions
from storage.calls import CallState
from storage.db import AWAY, BUSY, Db

LOG = log(__name__)
MOST_NAME_CHARS = 100
NO_AGENT = "No agent is on the call at the moment."
FULL_SENTENCE = (
    "The agent has been told as much as a call may hold, or five texts wait to be said already; try again later."
)


class Supervision:
    def __init__(self, db: Db, bus: Bus, carrier: Carrier, settings: CallsSettings) -> None:
        self._db, self._carrier = db, carrier
        self._commands = Commands(db, bus, settings)

    async def hang_up(self, call: Call, id: UUID) -> None:
        """End a call, wherever it is.  Raises NotFound, InvalidState, CarrierError."""
        org = call.who.org_id
        state = await self._live(call, id, "hangUpCall", ())
        outcome = None
        if await self._commands.reaches(state):
            assert state.node is not None, "a process has the call"
            command = pb.CallCommand(call_id=ids.show(Kind.CALL, id), hang_up=pb.HangUpNow())
            outcome = await self._commands.carry_out(state.node, command)
        if outcome == DONE:
            await self._commands.until_over(org, id)
        else:  # no media process has it, or the one that had it does not answer: the carrier can end any call
            await ending.hang_up(self._db, self._carrier, state)

    async def intervene(self, call: Call, id: UUID, kind: str, text: str) -> calls_pb2.Intervention:
        """Tell the agent something (`instruct`), or have it say something (`say`).  Raises NotFound, InvalidState, RateLimited,
        Unavailable.
        """
        action = "instructAgent" if kind == "instruct" else "sayOnCall"
        state = await self._live(call, id, action, ("text",))
        name = ids.show(Kind.INTERVENTION, own_id(call, kind))
        if (known := await self._known(call, id, name)) is not None:
            return known  # by a request whose answer was lost
        if not await self._commands.reaches(state):
            raise InvalidState(NO_AGENT)
        assert state.node is not None, "a process has the call"
        dictation = pb.Dictation(text=text, by=call.who.name[:MOST_NAME_CHARS])
        command = pb.CallCommand(call_id=ids.show(Kind.CALL, id), command_id=name)
        getattr(command, kind).CopyFrom(dictation)
        outcome = await self._commands.carry_out(state.node, command)
        if outcome == DONE:
            return calls_pb2.Intervention(id=name, kind=kind, text=text, by=dictation.by, at=timestamp(now()))
        if outcome == FULL:
            raise RateLimited(FULL_SENTENCE)
        if outcome is None:
            raise Unavailable(UNKNOWN)
        raise InvalidState(NO_AGENT)

    async def hand_over(self, call: Call, id: UUID, flow_id: str) -> None:
        """Have another flow's agent take the call over.  Raises NotFound, InvalidState, InvalidRequest, Unavailable."""
        async with self._db.tenant(call.who.org_id) as tx:
            try:
                flow = await flows.get(tx, ids.require(Kind.FLOW, flow_id))
            except NotFound:
                raise InvalidRequest([FieldError("flow_id", "there is no such flow")]) from None
            if flow.channel != "voice":
                raise InvalidRequest([FieldError("flow_id", "is not a voice flow")])
            if await flow_switches.count(tx, id) >= rules.MAX_FLOW_SWITCHES:
                raise InvalidState("The call was handed over too often.")
        state = await self._live(call, id, "transferCall", ("flow_id",))
        if not await self._commands.reaches(state):
            raise InvalidState(NO_AGENT)
        assert state.node is not None, "a process has the call"
        switch = pb.SwitchFlow(flow_id=ids.show(Kind.FLOW, flow.id), flow_version=flow.version)
        command = pb.CallCommand(
            call_id=ids.show(Kind.CALL, id),
            command_id=ids.show(Kind.INTERVENTION, own_id(call, "switch")),
            switch=switch,
        )
        outcome = await self._commands.carry_out(state.node, command)
        if outcome is None:
            raise Unavailable(UNKNOWN)
        if outcome != DONE:
            raise InvalidState(NO_AGENT)

    async def begin_listening(self, call: Call, id: UUID) -> None:
        """Somebody wants to listen to a live call.  Raises NotFound, InvalidState."""
        await self._live(call, id, "listenToCall", ())

    async def end_listening(self, call: Call, id: UUID) -> None:
        """They listen no longer, whatever the reason."""
        org = call.who.org_id
        try:
            async with self._db.tenant(org) as tx:
                await note(tx, org, call.who, "stopListeningToCall", ids.show(Kind.CALL, id), (), call.request_id)
        except (*AWAY, *BUSY) as error:
            LOG.warning(
                "the end of listening is not in the audit log", call=ids.show(Kind.CALL, id), error=repr(error)[:200]
            )

    async def _live(self, call: Call, id: UUID, action: str, fields: tuple[str, ...]) -> CallState:
        """A live call of the organization; the audit log says who acts on it.  Raises NotFound, InvalidState."""
        org = call.who.org_id
        async with self._db.tenant(org) as tx:
            state = await ending.require_live(tx, id)
            await note(tx, org, call.who, action, ids.show(Kind.CALL, id), fields, call.request_id)
        return state

    async def _known(self, call: Call, id: UUID, name: str) -> calls_pb2.Intervention | None:
        if call.key is None:
            return None
        async with self._db.tenant(call.who.org_id) as tx:
            stored = await interventions.find(tx, id, name)
        return restore(stored, calls_pb2.Intervention()) if stored else None
