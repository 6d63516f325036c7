"""The organization's customer at Stripe, made once, and its subscription, fetched whenever something may have changed.

Events of Stripe's come late, twice, in any order; so what they say is not looked at.  Each means a fetch, which is numbered when it
begins; what it finds is stored unless a fetch that began later was faster.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from control.base.subscriptions import Contract, Payments
from control.base.wire import value
from control.billing import rules
from control.billing.rules import Standing
from control.rows import each_row
from hum import ids
from hum.clock import now
from hum.errors import PaymentError, PaymentRefused
from hum.ids import Kind
from hum.plans import Plans
from hum.settings import BillingSettings
from hum.telemetry import log
from hum.v1 import billing_pb2, events_pb2
from storage import billing, events
from storage.billing import AccountRow, FetchRow
from storage.db import Db, Tx

LOG = log(__name__)
NOTICES = Counter("hum_stripe_events_total", "Stripe's webhooks, by what they were", ["what"])
FETCHES = Counter("hum_subscription_fetches_total", "Fetches of subscriptions, by what became of them", ["what"])
#: Fetches of one step, at once.
WIDTH = 8
#: Stripe sends an event again for some days, and a person can for thirty.
KEEP_EVENTS = timedelta(days=60)


class Accounts:
    """Organizations at Stripe."""

    def __init__(self, db: Db, payments: Payments, plans: Plans, settings: BillingSettings) -> None:
        self._db, self._payments, self._plans, self._settings = db, payments, plans, settings
        self._lease = timedelta(seconds=settings.billing_retry_seconds)

    # -- the customer

    async def customer(self, org: UUID) -> str:
        """The organization's customer; made if there is none.  Raises PaymentError."""
        async with self._db.tenant(org) as tx:
            account, name = await billing.open_account(tx, org), await billing.name(tx, org)
        if account.customer_id is not None:
            return account.customer_id
        made = await self._lost_customer(account) or await self._make(account, name)
        async with self._db.tenant(org) as tx:
            await billing.set_customer(tx, org, made)
            account = await billing.open_account(tx, org)
        assert account.customer_id is not None, "it was set in this transaction, or before"
        return account.customer_id

    async def _lost_customer(self, account: AccountRow) -> str | None:
        """A customer that an earlier request made whose answer was lost."""
        if account.customer_asked_at is None:
            return None
        if now() - account.customer_asked_at < timedelta(seconds=self._settings.stripe_look_seconds):
            raise PaymentError("The payment provider did not confirm the account; try again in a minute.")
        return await self._payments.find_customer(account.org_id)

    async def _make(self, account: AccountRow, name: str) -> str:
        """Of several requests with one key, Stripe carries out one; a failure ends the use of the key, because Stripe repeats it."""
        org = ids.show(Kind.ORGANIZATION, account.org_id)
        try:
            return await self._payments.make_customer(account.org_id, name, f"hum-{org}-{account.customer_faults}")
        except PaymentRefused:
            raise
        except PaymentError:
            async with self._db.tenant(account.org_id) as tx:
                await billing.customer_asked(tx, account.org_id, account.customer_faults)
            raise

    # -- its subscription

    async def take_event(self, event_id: str, type: str, customer_id: str) -> None:
        """Something changed about a customer, or about one that is not ours."""
        async with self._db.system() as tx:
            org = await billing.of_customer(tx, customer_id)
            if org is None:
                NOTICES.labels("others").inc()
                return
            fresh = await billing.add_event(tx, event_id, org, type)
            if fresh:
                await billing.notice(tx, org)
        NOTICES.labels("fresh" if fresh else "repeated").inc()

    async def fetch_due(self) -> int:
        """Fetch the subscriptions that may have changed; return how many."""
        async with self._db.system() as tx:
            due = {row.org_id: row for row in await billing.begin_due(tx, self._lease, WIDTH)}

        async def fetch(org: UUID) -> bool:
            await self._fetch(due[org])
            return True

        return await each_row("subscriptions", due, fetch)

    async def contract(self, org: UUID) -> Contract | None:
        """The subscription that counts, as it is now; None without one.  What is found is stored.  Raises PaymentError."""
        async with self._db.tenant(org) as tx:
            begun = await billing.begin_fetch(tx, org, self._lease)
        return rules.counting(await self._fetch(begun)) if begun is not None else None

    async def _fetch(self, begun: FetchRow) -> Sequence[Contract]:
        """What a customer has, which is stored.  Raises PaymentError."""
        contracts = await self._payments.contracts(begun.customer_id)
        counting, standing = rules.counting(contracts), None
        if counting is not None:
            owes = counting.status in rules.OWING
            unpaid_since = await self._payments.unpaid_since(counting.id) if owes else None
            grace = timedelta(days=self._settings.grace_days)
            standing = rules.standing(counting, self._plans, unpaid_since, grace)
            if standing.plan_id is None:
                LOG.warning("a subscription has prices that are in no plan", subscription=counting.id)
        alive = [each.id for each in contracts if each.status not in rules.OVER]
        if len(alive) > 1:
            LOG.warning("a customer has several subscriptions; the one in force is", subscription=alive[0])
        async with self._db.system() as tx:
            FETCHES.labels("applied" if await self._apply(tx, begun, standing) else "overtaken").inc()
        return contracts

    async def _apply(self, tx: Tx, begun: FetchRow, found: Standing | None) -> bool:
        before = await billing.account(tx, begun.org_id, lock=True)
        assert before is not None, "accounts are never deleted, but with their organization"
        reconcile = timedelta(seconds=self._settings.billing_reconcile_seconds)
        if not await billing.apply(tx, begun, _values(found), reconcile):
            return False
        if found is not None and _shown(before) != (found.plan_id, found.status, found.cancel_at_period_end):
            event = events_pb2.SubscriptionChangedEvent(
                plan_id=found.plan_id,
                status=value(billing_pb2.SubscriptionStatus, found.status),
                cancel_at_period_end=found.cancel_at_period_end,
            )
            await events.append(tx, begun.org_id, begun.org_id, event)
        return True


def _shown(row: AccountRow) -> tuple[str | None, str | None, bool]:
    return row.plan_id, row.status, row.cancel_at_period_end


def _values(found: Standing | None) -> tuple[object, ...]:
    """In the order of the columns that a fetch sets."""
    if found is None:
        return None, None, None, 0, None, None, False, None, None, None
    return (
        found.subscription_id,
        found.status,
        found.plan_id,
        found.extra_seats,
        found.period_starts_at,
        found.period_ends_at,
        found.cancel_at_period_end,
        found.unpaid_since,
        found.in_force_until,
        found.began_at,
    )
