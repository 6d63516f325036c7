"""The purchase of a number in three steps, so that a crash at any point neither loses a number nor pays for one twice.

An attempt is committed; the carrier is asked, with no transaction open; the number is recorded.  The sweep looks up unfinished
attempts at the carrier.  A number that was bought but can't be recorded is released.  For the look-up to be conclusive, a number
that the account already holds can't be bought.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from control.actors import actor
from control.billing import limits
from control.clients.twilio import CarrierClient, CarrierNumber, Webhooks, is_refusal
from control.numbers.flows import own_flow
from control.rows import each_row
from hum import ids
from hum.clock import now
from hum.contract.errors import (
    AlreadyExists,
    CarrierError,
    Conflict,
    IdempotencyInProgress,
    IdempotencyMismatch,
    NotFound,
    PlanLimit,
    RequestRefused,
)
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from hum.v1 import numbers_pb2 as pb
from storage import audit, events, flows, numbers, purchases
from storage.db import Db, Tx
from storage.numbers import NumberRow
from storage.purchases import PurchaseRow

#: The same message for every reason, so that it does not reveal whether another organization has the number.
NOT_FOR_SALE = "The number is not for sale."
#: Each purchase costs the operator a month's rent, released or not.  So in a month (UTC) an organization may buy so many
#: times the numbers that it may have, and at least so many.
MONTHLY_FACTOR, MONTHLY_LEAST = 2, 3


@dataclass(frozen=True, slots=True)
class NumberQuota:
    """The limits of an organization's numbers: in all, bought within 24 hours, and bought in a month."""

    in_all: int
    a_day: int

    def require(self, owned: int, bought_in_a_day: int, bought_in_month: int, of_plan: int | None) -> None:
        """Check that one more stays within the limits.  `of_plan`: the numbers of its plan, None: any.  Raises PlanLimit."""
        if owned >= self.in_all:
            raise PlanLimit(f"The organization has {owned} numbers; the limit is {self.in_all}.")
        if bought_in_a_day >= self.a_day:
            raise PlanLimit(
                f"The organization bought {bought_in_a_day} numbers in 24 hours; the limit is {self.a_day}."
            )
        may_have = self.in_all if of_plan is None else min(of_plan, self.in_all)
        a_month = max(MONTHLY_LEAST, MONTHLY_FACTOR * may_have)
        if bought_in_month >= a_month:
            raise PlanLimit(
                f"The organization bought {bought_in_month} numbers this month (UTC); the limit is {a_month}, also if "
                "numbers are released."
            )


class Purchases:
    """The purchases at a carrier."""

    def __init__(
        self, db: Db, carrier: CarrierClient, webhooks: Webhooks, keep_keys: timedelta, quota: NumberQuota
    ) -> None:
        self._db, self._carrier, self._webhooks, self._keep_keys = db, carrier, webhooks, keep_keys
        self._quota = quota

    async def buy(
        self, principal: Principal, request: pb.BuyNumberRequest, *, request_id: str, key: str | None, body_hash: bytes
    ) -> NumberRow:
        """Buy a number; the same key buys once.  Raises InvalidRequest, Conflict, PlanLimit, BillingRequired,
        CarrierError.
        """
        async with self._db.tenant(principal.org_id) as tx:
            if key is not None and (previous := await purchases.by_key(tx, key, self._keep_keys)) is not None:
                return await _replayed(tx, previous, actor(principal), body_hash)
            # Checked before the carrier is asked: a request that is refused anyway must not reveal whether the account holds the number.
            await self._require_allowed(tx, principal, request)
        # A lost order is looked up in the account, so a number that is already there must never be ordered.
        if await self._carrier.find_number(request.e164) is not None:
            raise Conflict(NOT_FOR_SALE)
        async with self._db.tenant(principal.org_id) as tx:
            flow_id, sms_flow_id = await self._require_allowed(tx, principal, request)
            attempt = PurchaseRow(
                id=ids.new(),
                org_id=principal.org_id,
                e164=request.e164,
                flow_id=flow_id,
                sms_flow_id=sms_flow_id,
                status="buying",
                carrier_sid=None,
                number_id=None,
                actor=actor(principal),
                actor_name=principal.name,
                request_id=request_id,
                body_hash=body_hash,
            )
            if not await purchases.begin(tx, attempt, key):
                if key is not None and await purchases.by_key(tx, key, self._keep_keys):
                    raise IdempotencyInProgress  # a concurrent duplicate was first
                if await purchases.is_buying(tx, request.e164):
                    raise Conflict("Another request of your organization is buying this number.")
                raise Conflict(NOT_FOR_SALE)
        return await self._finish(attempt, await self._order(attempt))

    async def _require_allowed(
        self, tx: Tx, principal: Principal, request: pb.BuyNumberRequest
    ) -> tuple[UUID | None, UUID | None]:
        """Return the flows that the number will answer with.  Raises InvalidRequest, PlanLimit, BillingRequired."""
        flow_id = await own_flow(tx, request.flow_id, "flow_id", "voice")
        sms_flow_id = await own_flow(tx, request.sms_flow_id, "sms_flow_id", "sms")
        counts, of_plan = await purchases.counts(tx), await limits.find(tx, principal.org_id, "numbers")
        await limits.require(tx, principal.org_id, "numbers")
        self._quota.require(*counts, None if of_plan is None else of_plan.limit)
        return flow_id, sms_flow_id

    async def finish_abandoned_purchases(self, older: timedelta) -> int:
        """Finish the attempts that have been idle for longer than `older`; return how many were finished."""
        async with self._db.system() as tx:
            abandoned = {attempt.id: attempt for attempt in await purchases.claim_abandoned(tx, older)}

        async def resume(id: UUID) -> bool:
            await self._resume(abandoned[id])
            return True

        return await each_row("purchases", abandoned, resume)

    async def _resume(self, attempt: PurchaseRow) -> None:
        if attempt.status == "returning":
            await self._release(attempt, attempt.carrier_sid or "")
            return
        at_carrier = await self._carrier.find_number(attempt.e164)
        if at_carrier is None:
            await self._end(attempt, "failed")
        else:
            await self._finish(attempt, at_carrier)

    async def _order(self, attempt: PurchaseRow) -> CarrierNumber:
        """Buy a number from the carrier.  If the answer is lost, look the number up: once here, and later in the sweep.

        Raises Conflict, CarrierError.
        """
        try:
            bought = await self._carrier.buy_number(attempt.e164, self._webhooks)
        except CarrierError as error:
            if is_refusal(error):
                await self._end(attempt, "failed")
                raise
            at_carrier = await self._carrier.find_number(attempt.e164)
            if at_carrier is None:
                raise CarrierError(
                    "The carrier did not confirm the order; HUM checks again within a minute."
                ) from error
            return at_carrier
        if bought is None:
            await self._end(attempt, "failed")
            raise Conflict(NOT_FOR_SALE)
        return bought

    async def _finish(self, attempt: PurchaseRow, bought: CarrierNumber) -> NumberRow:
        """Record the number, or release it if that is refused."""
        try:
            async with self._db.tenant(attempt.org_id) as tx:
                latest = await purchases.lock(tx, attempt.id)
                if latest.number_id is not None:  # another process finished it
                    return await numbers.get(tx, latest.number_id)
                return await _record(tx, attempt, bought)
        except RequestRefused as error:
            await self._end(attempt, "returning", bought.sid)
            await self._release(attempt, bought.sid)
            if isinstance(error, AlreadyExists):
                raise Conflict(NOT_FOR_SALE) from error
            raise

    async def _release(self, attempt: PurchaseRow, sid: str) -> None:
        """Release a bought number, unless an operator has assigned it to an organization meanwhile.

        The buyer holds it until then, so it can't be assigned during the carrier's request.
        """
        async with self._db.tenant(attempt.org_id) as tx:
            is_held = await numbers.reserve(tx, ids.new(), attempt.e164, sid)
        if not is_held and await self._is_owned(sid):
            await self._end(attempt, "failed")
            return
        await self._carrier.release_number(sid)
        async with self._db.tenant(attempt.org_id) as tx:
            await numbers.cancel_reservation(tx, sid)
            await purchases.end(tx, attempt.id, "returned")

    async def _is_owned(self, sid: str) -> bool:
        """Return whether an organization has this SID.  The same number under an older SID, gone since, does not count."""
        async with self._db.system() as tx:
            return await purchases.is_owned(tx, sid)

    async def _end(self, attempt: PurchaseRow, status: str, carrier_sid: str | None = None) -> None:
        async with self._db.tenant(attempt.org_id) as tx:
            await purchases.end(tx, attempt.id, status, carrier_sid=carrier_sid)


async def _replayed(tx: Tx, attempt: PurchaseRow, by: str, body_hash: bytes) -> NumberRow:
    """Return the result of an attempt with the same idempotency key.

    Raises IdempotencyMismatch, IdempotencyInProgress, NotFound.
    """
    if (attempt.actor, attempt.body_hash) != (by, body_hash):
        raise IdempotencyMismatch
    if attempt.status == "buying":
        raise IdempotencyInProgress
    if attempt.number_id is None:
        raise NotFound("The number was bought and has since been released.")
    return await numbers.get(tx, attempt.number_id)


async def _record(tx: Tx, attempt: PurchaseRow, bought: CarrierNumber) -> NumberRow:
    row = NumberRow(
        id=ids.new(),
        e164=attempt.e164,
        carrier_sid=bought.sid,
        friendly_name=bought.friendly_name,
        flow_id=await _existing(tx, attempt.flow_id),
        sms_flow_id=await _existing(tx, attempt.sms_flow_id),
        sms_enabled=attempt.sms_flow_id is not None,
        capabilities=list(bought.capabilities),
        status="active",
        created_at=now(),
        account_sid=bought.account_sid,
    )
    row = await numbers.create(tx, row)
    await purchases.end(tx, attempt.id, "bought", carrier_sid=bought.sid, number_id=row.id)
    await events.append(tx, attempt.org_id, row.id, events_pb2.NumberBoughtEvent(by=attempt.actor_name))
    await audit.append(
        tx,
        attempt.org_id,
        actor=attempt.actor,
        actor_name=attempt.actor_name,
        action="buyNumber",
        subject=ids.show(Kind.NUMBER, row.id),
        fields=["e164"],
        request_id=attempt.request_id,
    )
    return row


async def _existing(tx: Tx, flow: UUID | None) -> UUID | None:
    """Return the flow's id, or None if it was deleted during the carrier's request."""
    try:
        return flow and (await flows.get(tx, flow)).id
    except NotFound:
        return None
