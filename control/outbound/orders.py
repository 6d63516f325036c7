"""Orders of calls: a call and its order are stored in the request's transaction, together with the idempotency key.

A worker places the call later (`dialling.py`); nothing here reaches the carrier.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.base import phone
from control.base.hours import first_open
from control.billing import limits
from control.flows.definitions import usable_hours
from control.livecall.stream import append_event
from control.numbers.flows import own_flow
from control.outbound import dialdecision
from control.outbound.dialdecision import OutboundLimits
from hum import ids
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, PlanLimit
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import calls_pb2
from storage import calls, contacts, flows, outbound, outbound_limits
from storage.calls import NewCall
from storage.db import Tx
from storage.outbound import CallingNumberRow, NewOrder, OrderRow


@dataclass(frozen=True, slots=True)
class Order:
    """A requested call; None: not specified."""

    flow_id: str
    to_e164: str
    task_context: str | None = None
    from_number_id: str = ""
    scheduled_at: datetime | None = None
    max_attempts: int | None = None
    retry_after_seconds: int | None = None
    ring_seconds: int | None = None
    honor_quiet_hours: bool = True
    test: bool = False


class Orders:
    """The admission of orders.  `countries`: those that may be called besides the calling number's own."""

    def __init__(self, limits: OutboundLimits, countries: frozenset[str]) -> None:
        self._limits, self._countries = limits, countries

    async def create(self, tx: Tx, principal: Principal, order: Order) -> OrderRow:
        """Store a call and its order.  Raises InvalidRequest, InvalidState, PlanLimit, BillingRequired."""
        at = now()
        if order.scheduled_at and order.scheduled_at > at + dialdecision.FURTHEST:
            raise InvalidRequest([FieldError("scheduled_at", "must be within a year")])
        flow_id = await own_flow(tx, order.flow_id, "flow_id", "voice")
        assert flow_id is not None, "the request names a flow"
        caller = await _caller(tx, order.from_number_id, flow_id)
        await self._admit(tx, order.to_e164, caller)
        await limits.require(tx, principal.org_id, "minutes")
        flow = await flows.get(tx, flow_id)
        contact = await contacts.find_or_create(tx, ids.new(), principal.org_id, order.to_e164, None)
        call = NewCall(
            id=ids.new(),
            org_id=principal.org_id,
            call_sid=None,
            direction="outbound",
            status="queued",
            from_e164=caller.e164,
            to_e164=order.to_e164,
            number_id=caller.id,
            flow_id=flow_id,
            flow_version=flow.version,
            contact_id=contact.id,
            created_at=at,
            carrier_account=caller.account,
        )
        await calls.create(tx, call)
        await outbound.create(tx, await self._due(tx, call.id, order, caller, at))
        await append_event(tx, call.id, at, state=calls_pb2.CallStateChanged(status=calls_pb2.CALL_STATUS_QUEUED))
        return await outbound.get(tx, call.id)

    async def _admit(self, tx: Tx, to_e164: str, caller: CallingNumberRow) -> None:
        """Check the called number and the organization's limits.  Raises InvalidRequest, InvalidState, PlanLimit."""
        if (bad := phone.bad_callee(to_e164, caller.e164, self._countries)) is not None:
            raise InvalidRequest([FieldError("to", bad)])
        if await outbound.is_own(tx, to_e164):
            raise InvalidRequest([FieldError("to", "is a number of your organization")])
        if await outbound.is_blocked(tx, to_e164):
            raise InvalidState("The number is on your organization's blocklist.")
        of_organization, of_callee = await outbound_limits.counts(tx, to_e164)
        if of_organization >= self._limits.a_day:
            raise PlanLimit(
                f"The organization ordered {of_organization} calls in 24 hours; the limit is {self._limits.a_day}."
            )
        if of_callee >= self._limits.a_day_to_one:
            raise PlanLimit(
                f"The organization ordered {of_callee} calls to this number in 24 hours; the limit is "
                f"{self._limits.a_day_to_one}."
            )

    async def _due(self, tx: Tx, call: UUID, order: Order, caller: CallingNumberRow, at: datetime) -> NewOrder:
        """Return the row of an order, due at the requested time or when its quiet hours end.  Raises InvalidState."""
        due, waits_for = at, "turn"
        if order.scheduled_at and order.scheduled_at > at:
            due, waits_for = order.scheduled_at, "schedule"
        hours = await outbound.hours(tx)
        if order.honor_quiet_hours and hours.voice_quiet_hours_enabled:
            callable_hours = dialdecision.quiet_hours(
                usable_hours(hours.business_hours_json), hours.time_zone, order.to_e164
            )
            opens = first_open(callable_hours, due)
            if opens is None:
                raise InvalidState("The organization's hours are never open where this number is.")
            if opens > due:
                due, waits_for = opens, "quiet_hours"
        return NewOrder(
            call_id=call,
            to_e164=order.to_e164,
            account=caller.account,
            task_context=order.task_context,
            scheduled_at=order.scheduled_at,
            max_attempts=order.max_attempts or dialdecision.MAX_ATTEMPTS,
            retry_after_seconds=order.retry_after_seconds or dialdecision.RETRY_AFTER_SECONDS,
            ring_seconds=order.ring_seconds or dialdecision.RING_SECONDS,
            honor_quiet_hours=order.honor_quiet_hours,
            test=order.test,
            due_at=due,
            waits_for=waits_for,
            wanted_at=due,
        )


async def _caller(tx: Tx, name: str, flow: UUID) -> CallingNumberRow:
    """Return the number to call from.  Raises InvalidRequest, InvalidState."""
    id = ids.parse(Kind.NUMBER, name) if name else None
    if name and id is None:
        raise InvalidRequest([FieldError("from_number_id", "does not exist")])
    caller = await outbound.caller(tx, id, flow)
    if name and caller is None:
        raise InvalidRequest([FieldError("from_number_id", "does not exist")])
    if caller is None:
        raise InvalidState("The organization has no active number to call from.")
    if caller.status != "active" or "voice" not in caller.capabilities:
        raise InvalidRequest([FieldError("from_number_id", "is not an active voice number")])
    return caller
