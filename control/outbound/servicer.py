"""OutboundService (proto/hum/v1/outbound.proto)."""

from typing import Any
from uuid import UUID

from control.audit.usecases import append_action
from control.base import paging, phone
from control.base.wire import moment, timestamp, value, word
from control.boundary import ActionContext, TransactionContext
from control.calls import ending
from control.feature import Deps
from control.livecall.state import require_live
from control.outbound.orders import Order, Orders
from hum import ids
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.v1 import calls_pb2
from hum.v1 import outbound_pb2 as pb
from storage import flows, outbound
from storage.outbound import OrderFilter, OrderRow

WAS_ANSWERED = "The call was answered; hang it up."


class OutboundServicer:
    def __init__(self, deps: Deps, orders: Orders) -> None:
        self._db, self._carrier, self._cursors = deps.db, deps.clients.carrier, deps.cursors
        self._orders = orders

    async def PlaceCall(self, request: pb.PlaceCallRequest, ctx: TransactionContext) -> pb.PlaceCallResponse:
        order = Order(
            flow_id=request.flow_id,
            to_e164=request.to,
            task_context=request.task_context or None,
            from_number_id=request.from_number_id,
            scheduled_at=moment(request.scheduled_at) if request.HasField("scheduled_at") else None,
            max_attempts=request.max_attempts if request.HasField("max_attempts") else None,
            retry_after_seconds=request.retry_after_seconds if request.HasField("retry_after_seconds") else None,
            ring_seconds=request.ring_seconds if request.HasField("ring_seconds") else None,
            honor_quiet_hours=request.honor_quiet_hours if request.HasField("honor_quiet_hours") else True,
        )
        return pb.PlaceCallResponse(call=present(await self._orders.create(ctx.tx, ctx.principal, order)))

    async def TestCall(self, request: pb.TestCallRequest, ctx: TransactionContext) -> pb.TestCallResponse:
        order = Order(request.flow_id, request.to, request.task_context or None, honor_quiet_hours=False, test=True)
        # Raises NotFound for another organization's flow.
        await flows.get(ctx.tx, ids.require(Kind.FLOW, request.flow_id))
        return pb.TestCallResponse(call=present(await self._orders.create(ctx.tx, ctx.principal, order)))

    async def ListOutboundCalls(
        self, request: pb.ListOutboundCallsRequest, ctx: TransactionContext
    ) -> pb.ListOutboundCallsResponse:
        by = OrderFilter(
            status=word(calls_pb2.CallStatus, request.status),
            flow_id=_id(Kind.FLOW, request.flow_id),
            number_id=_id(Kind.NUMBER, request.number_id),
            to_e164=_number(request.to_e164),
        )
        page = await outbound.page(ctx.tx, by, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListOutboundCallsResponse(calls=[present(row) for row in rows], next_cursor=more)

    async def GetOutboundCall(
        self, request: pb.GetOutboundCallRequest, ctx: TransactionContext
    ) -> pb.GetOutboundCallResponse:
        return pb.GetOutboundCallResponse(call=present(await outbound.get(ctx.tx, ids.require(Kind.CALL, request.id))))

    async def CancelOutboundCall(
        self, request: pb.CancelOutboundCallRequest, ctx: ActionContext
    ) -> pb.CancelOutboundCallResponse:
        """Cancel a call.  No transaction is open during the carrier's request: its webhooks need the call's row."""
        id = ids.require(Kind.CALL, request.id)
        async with self._db.tenant(ctx.organization) as tx:
            await outbound.get(tx, id)  # raises NotFound for an inbound call
            state = await require_live(tx, id)
            if state.streams_opened:
                raise InvalidState(WAS_ANSWERED)
            await append_action(
                tx, ctx.organization, ctx.principal, "cancelOutboundCall", request.id, (), ctx.request_id
            )
        if not await ending.hang_up(self._db, self._carrier, state):
            raise InvalidState(WAS_ANSWERED)
        return pb.CancelOutboundCallResponse()


def _number(text: str) -> str | None:
    """Parse a number to filter by, in any spelling: a `+` in a query is a space."""
    digits = phone.digits(text)
    return f"+{digits}" if digits else (text or None)


def _id(kind: Kind, text: str) -> UUID | None:
    """Parse an id to filter by; an invalid one matches nothing."""
    return (ids.parse(kind, text) or UUID(int=0)) if text else None


def present(row: OrderRow) -> pb.OutboundCall:
    is_due = row.status == "queued"
    lasted = (row.ended_at - row.answered_at).total_seconds() if row.ended_at and row.answered_at else None
    return pb.OutboundCall(
        id=ids.show(Kind.CALL, row.id),
        status=value(calls_pb2.CallStatus, row.status),
        from_e164=row.from_e164,
        to_e164=row.to_e164,
        number_id=ids.show(Kind.NUMBER, row.number_id) if row.number_id else None,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        flow_version=row.flow_version,
        contact=_contact(row),
        task_context=row.task_context,
        created_at=timestamp(row.created_at),
        scheduled_at=timestamp(row.scheduled_at),
        due_at=timestamp(row.due_at) if is_due else None,
        waits_for=value(pb.WaitsFor, row.waits_for if is_due else None),
        answered_at=timestamp(row.answered_at),
        ended_at=timestamp(row.ended_at),
        duration_seconds=int(lasted) if lasted is not None else None,
        end_reason=row.end_reason,
        answered_by=value(calls_pb2.AnsweredBy, row.answered_by),
        max_attempts=row.max_attempts,
        retry_after_seconds=row.retry_after_seconds,
        ring_seconds=row.ring_seconds,
        honor_quiet_hours=row.honor_quiet_hours,
        test=row.test,
        attempts=[_attempt(attempt) for attempt in row.attempts],
    )


def _contact(row: OrderRow) -> calls_pb2.CallContact | None:
    if row.contact_id is None:
        return None
    return calls_pb2.CallContact(
        id=ids.show(Kind.CONTACT, row.contact_id),
        name=row.contact_name,
        phone_e164=row.contact_phone or "",
        company=row.contact_company,
    )


def _attempt(stored: dict[str, Any]) -> pb.OutboundAttempt:
    attempt = pb.OutboundAttempt(number=stored["number"], status=stored["status"], carrier_code=stored["carrier_code"])
    attempt.started_at.FromJsonString(stored["started_at"])
    if stored["ended_at"]:
        attempt.ended_at.FromJsonString(stored["ended_at"])
    return attempt
