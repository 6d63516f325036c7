"""The organization's customer at Stripe, created once, and its subscription, fetched whenever it may have changed.

Stripe's events come late, repeatedly and in any order, so their content is ignored: each causes a fetch.  A fetch is
numbered when it begins; its result is stored unless a fetch that began later was faster.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from control.base.subscriptions import Contract, Payments
from control.base.wire import value
from control.billing import subscriptionstate
from control.billing.subscriptionstate import SubscriptionState
from control.rows import each_row
from hum import ids
from hum.clock import now
from hum.contract.errors import PaymentError, PaymentRefused
from hum.ids import Kind
from hum.observe.logs import log
from hum.plans import Plans
from hum.settings import BillingSettings
from hum.v1 import billing_pb2, events_pb2
from storage import billing, events
from storage.billing import AccountRow, FetchRow
from storage.db import Db, Tx

#: Days that a plan stays in force while its payment fails.
GRACE_DAYS = 14.0
#: Seconds after which each subscription is fetched in any case.
BILLING_RECONCILE_SECONDS = 6 * 3600.0

LOG = log(__name__)
NOTICES = Counter("hum_stripe_events_total", "Stripe's webhooks, by outcome", ["what"])
FETCHES = Counter("hum_subscription_fetches_total", "Fetches of subscriptions, by outcome", ["what"])
#: Customers of no organization that a process logs: the account at Stripe may have other products.
MOST_STRANGERS = 100
#: Fetches per sweep step.
BATCH = 8
#: Stripe repeats an event for some days; a person can resend one for thirty.
KEEP_EVENTS = timedelta(days=60)


class Accounts:
    """The organizations' customers and subscriptions at Stripe."""

    def __init__(self, db: Db, payments: Payments, plans: Plans, settings: BillingSettings) -> None:
        self._db, self._payments, self._plans, self._settings = db, payments, plans, settings
        self._lease = timedelta(seconds=settings.billing_retry_seconds)
        #: The customers of no organization that were logged.
        self._strangers: set[str] = set()

    # -- the customer

    async def customer(self, org: UUID) -> str:
        """Return the organization's customer, created if there is none.  Raises PaymentError."""
        async with self._db.tenant(org) as tx:
            account, name = await billing.open_account(tx, org), await billing.organization_name(tx, org)
        if account.customer_id is not None:
            return account.customer_id
        customer_id = await self._find_customer(account) or await self._create(account, name)
        async with self._db.tenant(org) as tx:
            await billing.set_customer(tx, org, customer_id)
            account = await billing.open_account(tx, org)
        assert account.customer_id is not None, "it was set in this transaction, or before"
        return account.customer_id

    async def _find_customer(self, account: AccountRow) -> str | None:
        """Find the customer of an earlier request that got no answer.  Raises PaymentError."""
        if account.customer_asked_at is None:
            return None
        if now() - account.customer_asked_at < timedelta(seconds=self._settings.stripe_look_seconds):
            raise PaymentError("The payment provider did not confirm the account; try again in a minute.")
        return await self._payments.find_customer(account.org_id)

    async def _create(self, account: AccountRow, name: str) -> str:
        """Create a customer under an idempotency key, and retire the key on failure: Stripe would repeat the error."""
        org = ids.show(Kind.ORGANIZATION, account.org_id)
        try:
            return await self._payments.make_customer(account.org_id, name, f"hum-{org}-{account.customer_faults}")
        except PaymentRefused:
            raise
        except PaymentError:
            async with self._db.tenant(account.org_id) as tx:
                await billing.record_customer_failure(tx, account.org_id, account.customer_faults)
            raise

    # -- its subscription

    async def schedule_fetch(self, event_id: str, type: str, customer_id: str) -> None:
        """Schedule a fetch for the customer of an event; log customers that are not ours."""
        async with self._db.system() as tx:
            org = await billing.of_customer(tx, customer_id)
            if org is None:
                NOTICES.labels("others").inc()
                self._log_stranger(type, customer_id)
                return
            is_new = await billing.add_event(tx, event_id, org, type)
            if is_new:
                await billing.schedule_fetch(tx, org)
        NOTICES.labels("fresh" if is_new else "repeated").inc()

    def _log_stranger(self, type: str, customer_id: str) -> None:
        """Log the event of a customer of no organization, each customer once: someone may pay for nothing."""
        if customer_id not in self._strangers and len(self._strangers) < MOST_STRANGERS:
            self._strangers.add(customer_id)
            LOG.warning("Stripe tells of a customer of no organization", customer=customer_id, type=type)

    async def fetch_due(self) -> int:
        """Fetch the subscriptions that may have changed; return how many."""
        async with self._db.system() as tx:
            rows = {row.org_id: row for row in await billing.begin_due(tx, self._lease, BATCH)}

        async def fetch(org: UUID) -> bool:
            await self._fetch(rows[org])
            return True

        return await each_row("subscriptions", rows, fetch)

    async def contract(self, org: UUID) -> Contract | None:
        """Fetch and store the effective subscription; return None without one.  Raises PaymentError."""
        async with self._db.tenant(org) as tx:
            fetch = await billing.begin_fetch(tx, org, self._lease)
        return subscriptionstate.effective(await self._fetch(fetch)) if fetch is not None else None

    async def _fetch(self, fetch: FetchRow) -> Sequence[Contract]:
        """Fetch a customer's subscriptions and store the effective one; return all.  Raises PaymentError."""
        contracts = await self._payments.contracts(fetch.customer_id)
        effective, standing = subscriptionstate.effective(contracts), None
        if effective is not None:
            owes = effective.status in subscriptionstate.OWING
            unpaid_since = await self._payments.unpaid_since(effective.id) if owes else None
            grace = timedelta(days=GRACE_DAYS)
            standing = subscriptionstate.standing(effective, self._plans, unpaid_since, grace)
            if standing.plan_id is None:
                LOG.warning("a subscription has no price of a plan", subscription=effective.id)
        alive = [contract.id for contract in contracts if contract.status not in subscriptionstate.OVER]
        if len(alive) > 1 and effective is not None:
            LOG.warning("a customer has several subscriptions; the one in force is", subscription=effective.id)
        async with self._db.system() as tx:
            FETCHES.labels("applied" if await self._apply(tx, fetch, standing) else "overtaken").inc()
        return contracts

    async def _apply(self, tx: Tx, fetch: FetchRow, standing: SubscriptionState | None) -> bool:
        before = await billing.account(tx, fetch.org_id, lock=True)
        assert before is not None, "an account is deleted only with its organization"
        reconcile = timedelta(seconds=BILLING_RECONCILE_SECONDS)
        if not await billing.apply(tx, fetch, _values(standing), reconcile):
            return False
        if standing is not None and _visible(before) != (
            standing.plan_id,
            standing.status,
            standing.cancel_at_period_end,
        ):
            event = events_pb2.SubscriptionChangedEvent(
                plan_id=standing.plan_id,
                status=value(billing_pb2.SubscriptionStatus, standing.status),
                cancel_at_period_end=standing.cancel_at_period_end,
            )
            await events.append(tx, fetch.org_id, fetch.org_id, event)
        return True


def _visible(row: AccountRow) -> tuple[str | None, str | None, bool]:
    """Return the values that are compared for an event."""
    return row.plan_id, row.status, row.cancel_at_period_end


def _values(standing: SubscriptionState | None) -> tuple[object, ...]:
    """Return values for the columns that a fetch sets, in their order."""
    if standing is None:
        return None, None, None, 0, None, None, False, None, None, None, False
    return (
        standing.subscription_id,
        standing.status,
        standing.plan_id,
        standing.extra_seats,
        standing.period_starts_at,
        standing.period_ends_at,
        standing.cancel_at_period_end,
        standing.unpaid_since,
        standing.in_force_until,
        standing.began_at,
        standing.is_individual,
    )
