"""Usage for Stripe's meters: each hour of an organization once, however often a worker dies, also after nights away.

Three moments: what an hour has more than the meter knows is committed as on its way; Stripe is told; that it knows is recorded.  What
was not confirmed is sent again under its identifier, as long as Stripe is sure to remember that; later, Stripe is asked what it has.
"""

from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import Counter

from control.base.subscriptions import Payments
from control.billing import rules
from control.rows import each_row
from hum import ids
from hum.clock import now
from hum.errors import PaymentError, PaymentRefused
from hum.ids import Kind
from hum.plans import Plans
from hum.settings import BillingSettings
from hum.telemetry import log
from storage import billing
from storage.billing import MeteredRow, SendingRow, UntoldRow
from storage.db import Db

LOG = log(__name__)
TOLD = Counter(
    "hum_stripe_meter_events_total", "Usage that was told to Stripe's meters, by what became of it", ["what"]
)
#: What we count -> usage's name of it.
METERS: Mapping[str, str] = {"minutes": "call_minutes", "messages": "messages_sent"}
#: Organizations in one look, hours of one in one look, and what is sent again in one look.
ORGANIZATIONS, HOURS, AGAIN = 50, 200, 100


class Metering:
    def __init__(self, db: Db, payments: Payments, plans: Plans, settings: BillingSettings) -> None:
        self._db, self._payments = db, payments
        self._events: Mapping[str, str] = {str(resource): event for resource, event in plans.meters.items()}
        self._settle = timedelta(seconds=settings.meter_settle_seconds)
        self._repeat = timedelta(hours=settings.meter_repeat_hours)
        #: No request to Stripe takes longer than that, so after it nobody is still waiting for the answer.
        self._again = timedelta(seconds=settings.stripe_seconds * (settings.stripe_retries + 1) + 30)
        self._pause = timedelta(seconds=settings.meter_seconds)
        #: Where the next look at what was not confirmed begins; None: at the oldest.
        self._last: SendingRow | None = None

    async def tell_due(self) -> int:
        """Tell what is on its way and was not confirmed, and what is new; return how many hours."""
        async with self._db.system() as tx:
            unconfirmed = await billing.sending(tx, self._again, list(self._events), AGAIN, self._last)
            due = await billing.meter_due(tx, self._again, ORGANIZATIONS)
        # From there on: whatever can't be confirmed, look after look, holds up nothing else.
        self._last = unconfirmed[-1] if len(unconfirmed) == AGAIN else None
        count = await each_row("unconfirmed meter events", unconfirmed, self._confirm)
        for row in due:
            count += await each_row("meters", [row], self._tell_organization)
        return count

    async def _tell_organization(self, row: MeteredRow) -> bool:
        """Tell all hours of an organization that are over, as many as there are in one look."""
        since, until = rules.hours_to_look_at(row.metered_from, row.metered_until, now(), self._settle)
        full, complete = False, True
        for resource, event in self._events.items():
            async with self._db.system() as tx:
                hours = await billing.untold(tx, row.org_id, METERS[resource], resource, since, until, HOURS)
            full = full or len(hours) == HOURS
            for hour in hours:
                complete = await self._tell(row, resource, event, hour) and complete
        again_at = now() if full and complete else now() + self._pause
        async with self._db.system() as tx:
            await billing.metered(tx, row.org_id, until if complete and not full else since, again_at)
        return True

    async def _tell(self, row: MeteredRow, resource: str, event: str, hour: UntoldRow) -> bool:
        """False if Stripe refuses it.  Raises PaymentError, and then it is still on its way."""
        async with self._db.system() as tx:
            begun = await billing.begin_telling(tx, row.org_id, resource, hour.hour_at, hour.more, hour.known)
        if begun is not None:
            number, at = begun
            sending = SendingRow(row.org_id, resource, hour.hour_at, hour.known, number, hour.more, at, row.customer_id)
            return await self._send(sending, event)
        return True  # by another process

    async def _confirm(self, row: SendingRow) -> bool:
        """What became of usage that Stripe did not confirm.  Raises PaymentError, and then it is still on its way: also when Stripe
        refuses to say what the meter has, which tells nothing of what it took.
        """
        event = self._events[row.resource]
        if now() - row.sending_at < self._repeat:
            return await self._send(row, event)
        known = await self._payments.meter_total(event, row.customer_id, row.hour_at)
        if known >= row.quantity + row.sending:
            await self._record(row, "found")
            return True
        return await self._send(row, event)

    async def _send(self, row: SendingRow, event: str) -> bool:
        """False if Stripe refuses it.  Raises PaymentError."""
        name = rules.identifier(ids.show(Kind.ORGANIZATION, row.org_id), row.resource, row.hour_at, row.sequence)
        try:
            await self._payments.tell_meter(event, row.customer_id, row.sending, row.hour_at, name)
        except PaymentRefused:
            # Nothing was counted.  The hour is untold again, and is tried at the next look.
            LOG.exception("Stripe's meter refuses usage", meter=event)
            async with self._db.system() as tx:
                await billing.not_told(tx, row)
            TOLD.labels("refused").inc()
            return False
        except PaymentError:
            TOLD.labels("unconfirmed").inc()
            raise
        else:
            await self._record(row, "told")
            return True

    async def _record(self, row: SendingRow, what: str) -> None:
        async with self._db.system() as tx:
            await billing.told(tx, row)
        TOLD.labels(what).inc()
