"""Checkouts, the portal, changes of subscriptions, and the display of plan and use."""

import re
from datetime import datetime
from urllib.parse import urljoin
from uuid import UUID

from control.audit.usecases import append_action
from control.base.subscriptions import CheckoutPage, CheckoutRequest, Contract, Payments
from control.base.wire import timestamp, value
from control.billing import limits, subscriptionstate
from control.billing.account import Accounts
from hum import ids
from hum.clock import now
from hum.contract.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    InvalidState,
    PaymentDeclined,
    PaymentError,
    PaymentRefused,
)
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.plans import FREE, Plan, Plans
from hum.v1 import billing_pb2 as pb
from storage import billing, deleted_organizations
from storage.billing import AccountRow, AllowanceRow, CheckoutRow
from storage.db import Db, Tx

NO_BILLING = "This deployment has no billing: there are no plans, and nothing is limited by one."
NO_SUBSCRIPTION = "The organization has no subscription; begin one with POST /api/billing/checkout."
HAS_SUBSCRIPTION = "The organization has a subscription; change it with PATCH /api/billing/subscription, or how it is paid in the portal."
UNPAID = (
    "An invoice of your last subscription is not paid: pay it in the portal (POST /api/billing/portal), or ask the operator to "
    "void it, and begin the checkout again."
)
DECLINED = "The payment was declined, or the card's holder has to confirm it: nothing has changed. Choose another way to pay in the portal, and try again."
PAID = "A checkout of the organization was paid: cancel its subscription at the payment provider first."
DELETED = "The organization is being deleted."
#: A path on this host, as `return_to` of a sign-in is.
LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]{0,500}")


class StripeRequests:
    """Users' requests to Stripe."""

    def __init__(self, db: Db, payments: Payments, plans: Plans, public_url: str) -> None:
        self._db, self._payments, self._plans, self._public_url = db, payments, plans, public_url

    # -- paying for a plan

    async def check_out(
        self, accounts: Accounts, principal: Principal, request: pb.CreateCheckoutRequest, request_id: str
    ) -> tuple[str, datetime]:
        """Open a checkout; return its URL and expiry.  Raises InvalidRequest, InvalidState, Conflict, PaymentError."""
        plan = subscriptionstate.plan_for_sale(self._plans, request.plan, request.extra_seats)
        return_url = self._return_url(request.return_to)
        customer_id = await accounts.customer(principal.org_id)
        row = await self._claim(
            principal, CheckoutRow(ids.new(), plan.id, request.extra_seats, return_url, None, None, None)
        )
        # A deletion that began before the claim was committed is visible now; any other finds the claim, and closes it.
        async with self._db.system() as tx:
            if await deleted_organizations.get(tx, principal.org_id) is not None:
                raise InvalidState(DELETED)
        # Fetched when no other checkout is open: a payment in an earlier one shows as a subscription now.
        refusal = await self._refusal(row, await accounts.contract(principal.org_id))
        if refusal is not None:
            await self._close_checkout(principal.org_id)
            raise InvalidState(refusal)
        page = await self._open(principal, row, customer_id, plan)
        async with self._db.tenant(principal.org_id) as tx:
            is_current = await billing.record_checkout(tx, row.id, page.id, page.url, page.expires_at)
            if is_current:
                subject = ids.show(Kind.ORGANIZATION, principal.org_id)
                fields = ("plan", "extra_seats") if row.extra_seats else ("plan",)
                await append_action(tx, principal.org_id, principal, "createCheckout", subject, fields, request_id)
        if not is_current:
            await self._expire(page)
        if not is_current or page.url is None:
            raise Conflict("Another request of your organization has begun another checkout.")
        return page.url, page.expires_at

    async def _refusal(self, row: CheckoutRow, contract: Contract | None) -> str | None:
        """Return why an organization with this subscription may not check out, or None.  Raises PaymentError."""
        # A first payment that failed may be repeated on the same page.
        if contract is None or (contract.status == "incomplete" and row.session_id is not None):
            return None
        if contract.status not in subscriptionstate.OVER:
            return HAS_SUBSCRIPTION
        # Asked of Stripe, where an invoice is open until it is paid, void or uncollectible.
        return UNPAID if await self._payments.unpaid_since(contract.id) is not None else None

    async def _close_checkout(self, org: UUID) -> None:
        """End the organization's open checkout, also if another request opens its page now.  Raises PaymentError."""
        while True:
            async with self._db.tenant(org) as tx:
                row = await billing.open_checkout(tx, org)
            if row is not None and row.session_id is not None:
                await close_page(self._payments, await self._payments.checkout(row.session_id))
            async with self._db.tenant(org) as tx:
                if row is None or await billing.end_checkout(tx, row):
                    return

    async def _claim(self, principal: Principal, order: CheckoutRow) -> CheckoutRow:
        """Return the organization's open checkout if it is for the same order, else close it and begin `order`.

        Two are never open, so no customer pays twice.  Raises Conflict, InvalidState, PaymentError.
        """
        async with self._db.tenant(principal.org_id) as tx:
            if await billing.begin_checkout(tx, principal.org_id, order):
                return order
            current = await billing.open_checkout(tx, principal.org_id)
        if current is None:
            raise Conflict
        is_same = (current.plan_id, current.extra_seats, current.return_to) == (
            order.plan_id,
            order.extra_seats,
            order.return_to,
        )
        if current.session_id is None and is_same:
            # Another request is opening it with the same key: Stripe creates one for both.
            return current
        if current.session_id is not None:
            page = await self._payments.checkout(current.session_id)
            if page.status == "open" and is_same:
                return current
            if page.status == "open":
                await self._expire(page)
        async with self._db.tenant(principal.org_id) as tx:
            # A request that is still opening it finds it ended, and closes its page.  One that has opened it meanwhile
            # has told the page's URL: it stays.
            if await billing.end_checkout(tx, current) and await billing.begin_checkout(tx, principal.org_id, order):
                return order
        raise Conflict("Another request of your organization begins a checkout; try again.")

    async def _open(self, principal: Principal, row: CheckoutRow, customer_id: str, plan: Plan) -> CheckoutPage:
        """Return the checkout's page, or end it on failure: its URL is unknown, and Stripe would repeat the error."""
        if row.session_id is not None:
            return await self._payments.checkout(row.session_id)
        try:
            return await self._payments.open_checkout(self._order(row, customer_id, plan))
        except PaymentError:
            async with self._db.tenant(principal.org_id) as tx:
                await billing.end_checkout(tx, row)
            raise

    async def _expire(self, page: CheckoutPage) -> None:
        """Close a checkout.  Raises InvalidState if it was paid meanwhile, and PaymentError if it can still be paid."""
        if await close_page(self._payments, page):
            raise InvalidState(HAS_SUBSCRIPTION)

    def _order(self, row: CheckoutRow, customer_id: str, plan: Plan) -> CheckoutRequest:
        key = f"hum-checkout-{row.id.hex}"
        return CheckoutRequest(
            key, customer_id, plan.id, subscriptionstate.quantities(plan, row.extra_seats), row.return_to
        )

    def _return_url(self, path: str) -> str:
        """Return the URL of a path on this host.  Raises InvalidRequest."""
        if path and LOCAL_PATH.fullmatch(path) is None:
            raise InvalidRequest([FieldError("return_to", "must be a path on this host")])
        return urljoin(self._public_url, path or "/")

    # -- the portal

    async def open_portal(self, principal: Principal, return_to: str, request_id: str) -> str:
        """Return the URL of the portal's page.  Raises InvalidRequest, InvalidState, PaymentError."""
        return_url = self._return_url(return_to)
        async with self._db.tenant(principal.org_id) as tx:
            account = await billing.account(tx, principal.org_id)
        if account is None or account.customer_id is None:
            raise InvalidState(NO_SUBSCRIPTION)
        url = await self._payments.open_portal(account.customer_id, return_url)
        async with self._db.tenant(principal.org_id) as tx:
            subject = ids.show(Kind.ORGANIZATION, principal.org_id)
            await append_action(tx, principal.org_id, principal, "createPortalSession", subject, (), request_id)
        return url

    # -- the subscription

    async def change(
        self,
        accounts: Accounts,
        principal: Principal,
        request: pb.UpdateSubscriptionRequest,
        request_id: str,
    ) -> None:
        """Change the subscription; absent fields are unchanged.  Raises InvalidRequest, InvalidState, PaymentError.

        Less is credited by time, so a plan can't become one that allows less than was used in the period.
        """
        contract = await accounts.contract(principal.org_id)
        if contract is None or contract.status in subscriptionstate.OVER:
            raise InvalidState(NO_SUBSCRIPTION)
        fields = [field.name for field, _ in request.ListFields()]
        if not fields:
            return
        change = subscriptionstate.change(
            contract,
            self._plans,
            request.plan if request.HasField("plan") else None,
            request.extra_seats if request.HasField("extra_seats") else None,
            request.cancel_at_period_end if request.HasField("cancel_at_period_end") else None,
        )
        smaller = subscriptionstate.smaller_plan(contract, self._plans, change)
        # The log has the order, even if Stripe then refuses it.
        async with self._db.tenant(principal.org_id) as tx:
            if smaller is not None:
                await _require_room(tx, principal.org_id, contract, smaller)
            subject = ids.show(Kind.ORGANIZATION, principal.org_id)
            await append_action(tx, principal.org_id, principal, "updateSubscription", subject, fields, request_id)
        # No idempotency key: the change is derived from the present state, so a repetition changes nothing.
        try:
            await self._payments.change(contract.id, change)
        except PaymentDeclined as error:
            raise InvalidState(DECLINED) from error
        await accounts.contract(principal.org_id)


async def _require_room(tx: Tx, org: UUID, contract: Contract, plan: Plan) -> None:
    """Check that a plan allows what was used in the subscription's period.  Raises InvalidState."""
    period = subscriptionstate.period(contract.period_starts_at, contract.period_ends_at, now())
    for resource, limit in (("minutes", plan.minutes), ("messages", plan.messages)):
        if limit is not None and (used := await limits.used(tx, org, resource, period)) > limit:
            waiting = (
                ", those that wait to be sent included; cancel some of these, or" if resource == "messages" else ":"
            )
            raise InvalidState(
                f"The plan {plan.id} allows {limit} {limits.WORDS[resource]}, and {used} are used in this period{waiting} change to "
                f"it when the next one begins, on {period.ends_at:%Y-%m-%d}, or let the subscription end then."
            )


# --- closing checkouts --------------------------------------------------------------------------------------------


async def close_checkout(db: Db, payments: Payments | None, org: UUID) -> bool:
    """End the organization's open checkout, so that it can no longer be paid; return False if that can't be done here.

    Raises PaymentError, and InvalidState if it was paid, and its subscription is not over.
    """
    async with db.system() as tx:
        row, account = await billing.open_checkout(tx, org), await billing.account(tx, org)
    if row is None:
        return True
    if row.session_id is not None:
        if payments is None:
            return False
        if await close_page(payments, await payments.checkout(row.session_id)):
            await _require_over(payments, account)
    async with db.system() as tx:
        # A request that is still opening it finds it ended, and closes its page.
        return await billing.end_checkout(tx, row)


async def close_page(payments: Payments, page: CheckoutPage) -> bool:
    """Close a checkout's page if it is open; return whether it was paid.  Raises PaymentError if it can still be paid."""
    if page.status == "open":
        try:
            await payments.expire_checkout(page.id)
        except PaymentRefused:
            page = await payments.checkout(page.id)
            if page.status == "open":
                raise
    return page.status == "complete"


async def _require_over(payments: Payments, account: AccountRow | None) -> None:
    """Check that none of a customer's subscriptions lives, of which the notice may be late.  Raises InvalidState."""
    assert account is not None and account.customer_id is not None, "it has begun a checkout"
    contracts = await payments.contracts(account.customer_id)
    if any(contract.status not in subscriptionstate.OVER for contract in contracts):
        raise InvalidState(PAID)


# --- showing ------------------------------------------------------------------------------------------------------


async def show(tx: Tx, org: UUID, plans: Plans | None) -> pb.Billing:
    """Show the organization's plan, subscription and use; without billing, its use in the calendar month."""
    allowance = await billing.allowance(tx, org, FREE) if plans is not None else None
    account = await billing.account(tx, org) if plans is not None else None
    starts_at, ends_at = (allowance.period_starts_at, allowance.period_ends_at) if allowance else (None, None)
    period = subscriptionstate.period(starts_at, ends_at, now())
    response = pb.Billing(
        enabled=plans is not None,
        by_subscription=allowance is not None and allowance.by_subscription,
        resources=[
            _resource(name, await limits.used(tx, org, name, period), allowance) for name in subscriptionstate.RESOURCES
        ],
        period_starts_at=timestamp(period.starts_at),
        period_ends_at=timestamp(period.ends_at),
        plans=[present(plan) for plan in plans.plans] if plans is not None else [],
    )
    if plans is not None and allowance is not None and (plan := plans.get(allowance.plan_id)) is not None:
        response.plan.CopyFrom(present(plan))
    if account is not None and account.subscription_id is not None:
        response.subscription.CopyFrom(_subscription(account))
    return response


def _resource(name: str, used: int, allowance: AllowanceRow | None) -> pb.ResourceUse:
    limit = allowance.limit(name) if allowance is not None else None
    resource = value(pb.Resource, name)
    return pb.ResourceUse(resource=resource, used=used, limit=limit, reached=limit is not None and used >= limit)


def present(plan: Plan) -> pb.Plan:
    return pb.Plan(
        id=plan.id,
        name=plan.name,
        price_text=plan.price_text,
        numbers=plan.numbers,
        minutes=plan.minutes,
        messages=plan.messages,
        seats=plan.seats,
        for_sale=plan.is_for_sale,
        sells_seats=plan.seat_price_id is not None,
    )


def _subscription(row: AccountRow) -> pb.Subscription:
    owes = row.unpaid_since is not None
    return pb.Subscription(
        id=row.subscription_id or "",
        status=value(pb.SubscriptionStatus, row.status),
        plan_id=row.plan_id,
        individual_price=row.is_individual,
        extra_seats=row.extra_seats,
        period_starts_at=timestamp(row.period_starts_at),
        period_ends_at=timestamp(row.period_ends_at),
        cancel_at_period_end=row.cancel_at_period_end,
        unpaid_since=timestamp(row.unpaid_since),
        grace_ends_at=timestamp(row.in_force_until) if owes else None,
    )
