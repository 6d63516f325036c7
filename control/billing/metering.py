"""Reports of usage to Stripe's meters: each hour of an organization once, in spite of crashes and long outages.

A report has three steps: commit an hour's unreported usage as in flight; send it; record that Stripe has it.  An
unconfirmed report is sent again under its identifier while Stripe is sure to remember that; after that time, Stripe's
total is read first.
"""

from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import Counter

from control.base.subscriptions import Payments
from control.billing import subscriptionstate
from control.rows import each_row
from hum import ids
from hum.clock import now
from hum.contract.errors import PaymentError, PaymentRefused
from hum.ids import Kind
from hum.observe.logs import log
from hum.plans import Plans
from hum.settings import BillingSettings
from storage import billing
from storage.billing import DueReportRow, MeterReportRow, UnreportedRow
from storage.db import Db

#: Seconds after the end of an hour before its usage is told to Stripe.
METER_SETTLE_SECONDS = 600.0
#: Hours in which usage that Stripe did not confirm is sent again under its identifier, which Stripe keeps for 24;
#: later, Stripe is asked first what it has.
METER_REPEAT_HOURS = 20.0

LOG = log(__name__)
TOLD = Counter("hum_stripe_meter_events_total", "Reports of usage to Stripe's meters, by outcome", ["what"])
#: The resources of plans, and their names in the usage.
METERS: Mapping[str, str] = {"minutes": "call_minutes", "messages": "messages_sent"}
#: Per sweep: organizations, hours of one organization, and reports that are sent again.
ORGANIZATIONS, HOURS, RESENDS = 50, 200, 100


class Metering:
    def __init__(self, db: Db, payments: Payments, plans: Plans, settings: BillingSettings) -> None:
        self._db, self._payments = db, payments
        self._events: Mapping[str, str] = {str(resource): event for resource, event in plans.meters.items()}
        self._settle = timedelta(seconds=METER_SETTLE_SECONDS)
        self._repeat = timedelta(hours=METER_REPEAT_HOURS)
        #: Longer than any request to Stripe: after it, no process still waits for the answer.
        self._again = timedelta(seconds=settings.stripe_seconds * (settings.stripe_retries + 1) + 30)
        self._pause = timedelta(seconds=settings.meter_seconds)
        #: The cursor in the unconfirmed reports; None: at the oldest.
        self._last: MeterReportRow | None = None

    async def report_due(self) -> int:
        """Send unconfirmed reports again, then new ones; return how many rows were handled."""
        async with self._db.system() as tx:
            unconfirmed = await billing.reports_in_flight(tx, self._again, list(self._events), RESENDS, self._last)
            organizations = await billing.claim_due_reports(tx, self._again, ORGANIZATIONS)
        # Move on, so that reports which can't be confirmed do not block the others.
        self._last = unconfirmed[-1] if len(unconfirmed) == RESENDS else None
        count = await each_row("unconfirmed meter events", unconfirmed, self._confirm)
        for row in organizations:
            count += await each_row("meters", [row], self._report_organization)
        return count

    async def _report_organization(self, row: DueReportRow) -> bool:
        """Report an organization's finished hours, up to `HOURS` per resource."""
        since, until = subscriptionstate.hours_to_check(row.metered_from, row.metered_until, now(), self._settle)
        full, complete = False, True
        for resource, event in self._events.items():
            async with self._db.system() as tx:
                hours = await billing.unreported(tx, row.org_id, METERS[resource], resource, since, until, HOURS)
            full = full or len(hours) == HOURS
            for hour in hours:
                complete = await self._report(row, resource, event, hour) and complete
        again_at = now() if full and complete else now() + self._pause
        async with self._db.system() as tx:
            await billing.record_metered(tx, row.org_id, until if complete and not full else since, again_at)
        return True

    async def _report(self, row: DueReportRow, resource: str, event: str, hour: UnreportedRow) -> bool:
        """Report an hour; return False if Stripe refuses it.  Raises PaymentError: the report stays in flight."""
        async with self._db.system() as tx:
            report = await billing.begin_report(tx, row.org_id, resource, hour.hour_at, hour.missing, hour.reported)
        if report is not None:
            number, at = report
            sending = MeterReportRow(
                row.org_id, resource, hour.hour_at, hour.reported, number, hour.missing, at, row.customer_id
            )
            return await self._send(sending, event)
        return True  # another process reports it

    async def _confirm(self, row: MeterReportRow) -> bool:
        """Confirm a report by sending it again, or by the meter's total once Stripe may have forgotten its identifier.

        Raises PaymentError, also if Stripe refuses to return the total: the report then stays in flight.
        """
        event = self._events[row.resource]
        if now() - row.sending_at < self._repeat:
            return await self._send(row, event)
        total = await self._payments.meter_total(event, row.customer_id, row.hour_at)
        if total >= row.quantity + row.sending:
            await self._record(row, "found")
            return True
        return await self._send(row, event)

    async def _send(self, row: MeterReportRow, event: str) -> bool:
        """Send a report; return False if Stripe refuses it.  Raises PaymentError."""
        name = subscriptionstate.identifier(
            ids.show(Kind.ORGANIZATION, row.org_id), row.resource, row.hour_at, row.sequence
        )
        try:
            await self._payments.report_usage(event, row.customer_id, row.sending, row.hour_at, name)
        except PaymentRefused:
            # Stripe counted nothing: the hour is unreported again, and the next sweep retries it.
            LOG.exception("could not report usage: Stripe's meter refused it; the next sweep retries", meter=event)
            async with self._db.system() as tx:
                await billing.record_refusal(tx, row)
            TOLD.labels("refused").inc()
            return False
        except PaymentError:
            TOLD.labels("unconfirmed").inc()
            raise
        else:
            await self._record(row, "told")
            return True

    async def _record(self, row: MeterReportRow, outcome: str) -> None:
        async with self._db.system() as tx:
            await billing.record_report(tx, row)
        TOLD.labels(outcome).inc()
