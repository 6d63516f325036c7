"""Plans, subscriptions, the counts that a plan limits, and what was reported to Stripe's meters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

# --- plans

PLANS = (
    "SELECT id, position, numbers, minutes, messages, seats, for_sale, sells_seats FROM billing_plans ORDER BY position"
)
LOCK_PLANS = "LOCK TABLE billing_plans IN SHARE ROW EXCLUSIVE MODE"
DELETE_PLANS = "DELETE FROM billing_plans"
ADD_PLAN = """
    INSERT INTO billing_plans (id, position, numbers, minutes, messages, seats, for_sale, sells_seats)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# The subscription's plan while it is in force; else the organization's own; else the default plan.
ALLOWANCE = """
    SELECT p.id AS plan_id, p.position, p.numbers, p.minutes, p.messages,
           p.seats + CASE WHEN f.in_force AND p.id = a.plan_id THEN a.extra_seats ELSE 0 END AS seats,
           f.in_force AND p.id = a.plan_id AS by_subscription,
           CASE WHEN f.in_force THEN a.period_starts_at END AS period_starts_at,
           CASE WHEN f.in_force THEN a.period_ends_at END AS period_ends_at
      FROM organizations o
      LEFT JOIN billing_accounts a ON a.org_id = o.org_id
      CROSS JOIN LATERAL (SELECT coalesce(a.in_force_until > now(), false) AS in_force) f
      JOIN LATERAL (SELECT * FROM billing_plans
                     WHERE id IN (CASE WHEN f.in_force THEN a.plan_id END, o.plan, $2)
                     ORDER BY (f.in_force AND id = a.plan_id) IS TRUE DESC, id = o.plan DESC LIMIT 1) p ON true
     WHERE o.org_id = $1
"""
LOCK_ORGANIZATION = "SELECT FROM organizations WHERE org_id = $1 FOR NO KEY UPDATE"
COUNT_NUMBERS = """
    SELECT (SELECT count(*) FROM numbers WHERE org_id = $1 AND status <> 'gone')
         + (SELECT count(*) FROM number_purchases WHERE org_id = $1 AND status = 'buying')
"""
# $2: the address of an invitation that is being replaced, and no longer counts.
COUNT_SEATS = """
    SELECT (SELECT count(*) FROM memberships WHERE org_id = $1)
         + (SELECT count(*) FROM invites
             WHERE org_id = $1 AND expires_at > now() AND lower(email COLLATE "C") IS DISTINCT FROM lower($2::text COLLATE "C"))
"""
# Texts that were sent in the period, are in flight, or wait to be sent, in this period or a later one: the plan is not asked again when
# they are sent.  One statement sees one snapshot: a text that goes from one count to the next meanwhile is neither missed nor counted
# twice.  A text whose delivery is retried was counted before.
COUNT_MESSAGES = """
    SELECT (SELECT coalesce(sum(quantity), 0)::bigint FROM usage_rollups
             WHERE org_id = $1 AND meter = 'messages_sent' AND quarter_at >= $2 AND quarter_at < $3)
         + (SELECT count(*) FROM usage_entries
             WHERE org_id = $1 AND meter = 'messages_sent' AND counted_quantity IS NULL AND used_at >= $2 AND used_at < $3)
         + (SELECT count(*) FROM messages WHERE org_id = $1 AND due_at IS NULL AND status = 'queued')
         + (SELECT count(*) FROM messages WHERE org_id = $1 AND due_at IS NOT NULL AND status IN ('scheduled', 'queued'))
"""
# Begun minutes of calls that ended in the period, and of live ones: one for a call that rings.  One snapshot, as above.  Orphaned calls
# are being closed.
COUNT_MINUTES = """
    SELECT (SELECT coalesce(sum(quantity), 0)::bigint FROM usage_rollups
             WHERE org_id = $1 AND meter = 'call_minutes' AND quarter_at >= $2 AND quarter_at < $3)
         + (SELECT coalesce(sum(quantity), 0)::bigint FROM usage_entries
             WHERE org_id = $1 AND meter = 'call_minutes' AND counted_quantity IS NULL AND used_at >= $2 AND used_at < $3)
         + (SELECT coalesce(sum(1 + floor(greatest(extract(epoch FROM now() - coalesce(answered_at, now())), 0) / 60)), 0)::bigint
              FROM calls WHERE org_id = $1 AND status IN ('ringing', 'in_progress') AND lost_at IS NULL)
"""
ORGANIZATIONS = "SELECT org_id FROM organizations WHERE org_id > $1 ORDER BY org_id LIMIT $2"
WARN = "INSERT INTO billing_warnings (org_id, resource, period_starts_at, percent) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"

# --- accounts

_ACCOUNT = """
    org_id, customer_id, customer_faults, customer_asked_at, subscription_id, status, plan_id, extra_seats, period_starts_at,
    period_ends_at, cancel_at_period_end, unpaid_since, in_force_until, is_individual, fetches, applied, notices
"""
ACCOUNT = f"SELECT {_ACCOUNT} FROM billing_accounts WHERE org_id = $1"
OPEN_ACCOUNT = "INSERT INTO billing_accounts (org_id) VALUES ($1) ON CONFLICT DO NOTHING"
CUSTOMER_ASKED = """
    UPDATE billing_accounts SET customer_faults = customer_faults + 1, customer_asked_at = now()
     WHERE org_id = $1 AND customer_faults = $2 AND customer_id IS NULL
"""
# The first customer stays: repeated requests under one idempotency key have created one.
SET_CUSTOMER = """
    UPDATE billing_accounts SET customer_id = $2, fetch_at = coalesce(fetch_at, now())
     WHERE org_id = $1 AND customer_id IS NULL
"""
NAME = "SELECT name FROM organizations WHERE org_id = $1"
OF_CUSTOMER = "SELECT org_id FROM billing_accounts WHERE customer_id = $1"
ADD_EVENT = "INSERT INTO billing_events (id, org_id, type) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
PRUNE_EVENTS = "DELETE FROM billing_events WHERE received_at < now() - $1::interval"
NOTICE = "UPDATE billing_accounts SET notices = notices + 1, fetch_at = now() WHERE org_id = $1"


def _begin_fetch(lease: str, which: str) -> str:
    return f"""
    UPDATE billing_accounts
       SET fetches = fetches + 1, fetch_at = now() + {lease}::interval
     WHERE {which}
    RETURNING org_id, customer_id, fetches AS fetch, notices
"""


BEGIN_DUE = _begin_fetch(
    "$1",
    """org_id IN (SELECT org_id FROM billing_accounts WHERE fetch_at <= now() AND customer_id IS NOT NULL
                         ORDER BY fetch_at LIMIT $2 FOR UPDATE SKIP LOCKED)""",
)
BEGIN_ONE = _begin_fetch("$2", "org_id = $1 AND customer_id IS NOT NULL")
# Ignores results older than the stored ones.  If there was a notice since the fetch began, the next fetch is due at once.
APPLY = """
    UPDATE billing_accounts
       SET subscription_id = $4, status = $5, plan_id = $6, extra_seats = $7, period_starts_at = $8, period_ends_at = $9,
           cancel_at_period_end = $10, unpaid_since = $11, in_force_until = $12, is_individual = $14, applied = $2,
           metered_from = coalesce(metered_from, $13), meter_at = coalesce(meter_at, CASE WHEN $13::timestamptz IS NOT NULL THEN now() END),
           fetch_at = CASE WHEN notices > $3 THEN now() ELSE now() + $15::interval END
     WHERE org_id = $1 AND applied < $2
"""
LOCK_ACCOUNT = f"{ACCOUNT} FOR NO KEY UPDATE"

# --- checkouts

_CHECKOUT = "id, plan_id, extra_seats, return_to, session_id, url, expires_at"
OPEN_CHECKOUT = f"SELECT {_CHECKOUT} FROM billing_checkouts WHERE org_id = $1 AND ended_at IS NULL"
BEGIN_CHECKOUT = """
    INSERT INTO billing_checkouts (id, org_id, plan_id, extra_seats, return_to) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""
CHECKOUT_MADE = """
    UPDATE billing_checkouts SET session_id = $2, url = $3, expires_at = $4 WHERE id = $1 AND ended_at IS NULL
"""
END_CHECKOUT = """
    UPDATE billing_checkouts SET ended_at = now()
     WHERE id = $1 AND session_id IS NOT DISTINCT FROM $2 AND ended_at IS NULL
"""

# --- meters

METER_DUE = """
    UPDATE billing_accounts SET meter_at = now() + $1::interval
     WHERE org_id IN (SELECT org_id FROM billing_accounts WHERE meter_at <= now()
                       ORDER BY meter_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING org_id, customer_id, metered_from, metered_until
"""
METERED = "UPDATE billing_accounts SET metered_until = greatest(metered_until, $2), meter_at = $3 WHERE org_id = $1"
# $2: the meter's name in usage; $3: ours.  A roll-up's quarter lies within one hour.
UNREPORTED = """
    SELECT u.hour_at, u.quantity - coalesce(h.quantity, 0) AS missing, coalesce(h.quantity, 0) AS reported
      FROM (SELECT date_trunc('hour', quarter_at, 'UTC') AS hour_at, sum(quantity)::bigint AS quantity
              FROM usage_rollups
             WHERE org_id = $1 AND meter = $2 AND quarter_at >= $4 AND quarter_at < $5
             GROUP BY 1) u
      LEFT JOIN billing_meter_hours h ON h.org_id = $1 AND h.resource = $3 AND h.hour_at = u.hour_at
     WHERE u.quantity > coalesce(h.quantity, 0) AND h.sending IS NULL
     ORDER BY u.hour_at
     LIMIT $6
"""
# Does nothing if another process has begun or finished since `UNREPORTED` was queried.
BEGIN_REPORT = """
    INSERT INTO billing_meter_hours AS h (org_id, resource, hour_at, sending, sending_at)
    VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (org_id, resource, hour_at) DO UPDATE
       SET sending = excluded.sending, sending_at = excluded.sending_at
     WHERE h.sending IS NULL AND h.quantity = $5
    RETURNING sequence, sending_at
"""
REPORTED = """
    UPDATE billing_meter_hours SET quantity = quantity + sending, sequence = sequence + 1, sending = NULL, sending_at = NULL
     WHERE org_id = $1 AND resource = $2 AND hour_at = $3 AND sequence = $4 AND sending IS NOT NULL
"""
REPORT_REFUSED = """
    UPDATE billing_meter_hours SET sending = NULL, sending_at = NULL
     WHERE org_id = $1 AND resource = $2 AND hour_at = $3 AND sequence = $4 AND sending IS NOT NULL
"""
SENDING = """
    SELECT h.org_id, h.resource, h.hour_at, h.quantity, h.sequence, h.sending, h.sending_at, a.customer_id
      FROM billing_meter_hours h JOIN billing_accounts a ON a.org_id = h.org_id
     WHERE h.sending IS NOT NULL AND h.sending_at < now() - $1::interval AND h.resource = ANY ($2::text[])
       AND ($4::timestamptz IS NULL OR (h.sending_at, h.org_id, h.resource, h.hour_at) > ($4, $5::uuid, $6::text, $7::timestamptz))
     ORDER BY h.sending_at, h.org_id, h.resource, h.hour_at LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class PlanRow:
    id: str
    position: int
    numbers: int | None
    minutes: int | None
    messages: int | None
    seats: int | None
    for_sale: bool
    sells_seats: bool


@dataclass(frozen=True, slots=True)
class AllowanceRow:
    """An organization's allowance; None: unlimited."""

    plan_id: str
    position: int
    numbers: int | None
    minutes: int | None
    messages: int | None
    seats: int | None
    by_subscription: bool
    period_starts_at: datetime | None
    period_ends_at: datetime | None

    def limit(self, resource: str) -> int | None:
        limits: Mapping[str, int | None] = {
            "numbers": self.numbers,
            "minutes": self.minutes,
            "messages": self.messages,
            "seats": self.seats,
        }
        return limits[resource]


@dataclass(frozen=True, slots=True)
class AccountRow:
    org_id: UUID
    customer_id: str | None
    customer_faults: int
    customer_asked_at: datetime | None
    subscription_id: str | None
    status: str | None
    plan_id: str | None
    extra_seats: int
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    unpaid_since: datetime | None
    in_force_until: datetime | None
    is_individual: bool
    fetches: int
    applied: int
    notices: int


@dataclass(frozen=True, slots=True)
class FetchRow:
    """A fetch that has begun."""

    org_id: UUID
    customer_id: str
    fetch: int
    notices: int


@dataclass(frozen=True, slots=True)
class CheckoutRow:
    id: UUID
    plan_id: str
    extra_seats: int
    return_to: str
    session_id: str | None
    url: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class DueReportRow:
    """An organization with usage to report."""

    org_id: UUID
    customer_id: str
    metered_from: datetime
    metered_until: datetime | None


@dataclass(frozen=True, slots=True)
class UnreportedRow:
    """An hour of which a meter has `reported`, and lacks `missing`."""

    hour_at: datetime
    missing: int
    reported: int


@dataclass(frozen=True, slots=True)
class MeterReportRow:
    """Usage of an hour that is in flight to a meter, which has `quantity` already."""

    org_id: UUID
    resource: str
    hour_at: datetime
    quantity: int
    sequence: int
    sending: int
    sending_at: datetime
    customer_id: str


# --- plans --------------------------------------------------------------------------------------------------------


async def plans(tx: Tx) -> list[PlanRow]:
    """Return the plans, smallest first; none: there is no billing."""
    return [PlanRow(**row) for row in await tx.fetch(PLANS)]


async def set_plans(tx: Tx, rows: Sequence[PlanRow]) -> bool:
    """Replace the plans; return False if they are unchanged.  Runs as the system."""
    if await plans(tx) == list(rows):
        return False
    await tx.execute(LOCK_PLANS)
    await tx.execute(DELETE_PLANS)
    columns = [
        (row.id, row.position, row.numbers, row.minutes, row.messages, row.seats, row.for_sale, row.sells_seats)
        for row in rows
    ]
    await tx.executemany(ADD_PLAN, columns)
    return True


async def allowance(tx: Tx, org: UUID, otherwise: str) -> AllowanceRow | None:
    """Return what an organization may use, or None without billing.  `otherwise`: the plan of an organization without one."""
    row = await tx.fetchrow(ALLOWANCE, org, otherwise)
    return AllowanceRow(**row) if row else None


async def lock_organization(tx: Tx, org: UUID) -> None:
    """Lock an organization, so that counts against its limits don't change before this transaction ends."""
    await tx.execute(LOCK_ORGANIZATION, org)


async def count_numbers(tx: Tx, org: UUID) -> int:
    """Return how many numbers the organization has or is buying."""
    count: int = await tx.fetchval(COUNT_NUMBERS, org)
    return count


async def count_seats(tx: Tx, org: UUID, besides: str | None = None) -> int:
    """Return the number of members and open invitations, not counting one to the address `besides`."""
    count: int = await tx.fetchval(COUNT_SEATS, org, besides)
    return count


async def count_messages(tx: Tx, org: UUID, since: datetime, until: datetime) -> int:
    """Return how many texts were sent from `since`, a full hour, to `until`, are in flight, or wait to be sent at any time."""
    count: int = await tx.fetchval(COUNT_MESSAGES, org, since, until)
    return count


async def count_minutes(tx: Tx, org: UUID, since: datetime, until: datetime) -> int:
    """Return how many minutes calls have begun that ended from `since`, a full hour, to `until`, or are live."""
    count: int = await tx.fetchval(COUNT_MINUTES, org, since, until)
    return count


async def organizations(tx: Tx, after: UUID, limit: int) -> list[UUID]:
    """Return organizations in the order of ids, above `after`.  Runs as the system."""
    return [row["org_id"] for row in await tx.fetch(ORGANIZATIONS, after, limit)]


async def record_warning(tx: Tx, org: UUID, resource: str, period_starts_at: datetime, percent: int) -> bool:
    """Record a warning; return False if it was recorded before."""
    return await tx.execute(WARN, org, resource, period_starts_at, percent) != "INSERT 0 0"


# --- accounts -----------------------------------------------------------------------------------------------------


async def account(tx: Tx, org: UUID, *, lock: bool = False) -> AccountRow | None:
    """Return what is stored of an organization at Stripe."""
    row = await tx.fetchrow(LOCK_ACCOUNT if lock else ACCOUNT, org)
    return AccountRow(**row) if row else None


async def open_account(tx: Tx, org: UUID) -> AccountRow:
    """Return an organization's account; create it if there is none."""
    await tx.execute(OPEN_ACCOUNT, org)
    row = await account(tx, org)
    assert row is not None, "it was created in this transaction"
    return row


async def record_customer_failure(tx: Tx, org: UUID, faults: int) -> None:
    """Record that a request for a customer failed, after `faults` others; it may have created one."""
    await tx.execute(CUSTOMER_ASKED, org, faults)


async def set_customer(tx: Tx, org: UUID, customer_id: str) -> None:
    """Store the organization's customer, unless it has one."""
    await tx.execute(SET_CUSTOMER, org, customer_id)


async def organization_name(tx: Tx, org: UUID) -> str:
    name: str = await tx.fetchval(NAME, org)
    return name


async def of_customer(tx: Tx, customer_id: str) -> UUID | None:
    """Return the organization of a customer, or None.  Runs as the system."""
    org: UUID | None = await tx.fetchval(OF_CUSTOMER, customer_id)
    return org


async def add_event(tx: Tx, id: str, org: UUID, type: str) -> bool:
    """Store an event of Stripe's; return False if it was stored before."""
    return await tx.execute(ADD_EVENT, id, org, type) != "INSERT 0 0"


async def prune_events(tx: Tx, older: timedelta) -> None:
    await tx.execute(PRUNE_EVENTS, older)


async def schedule_fetch(tx: Tx, org: UUID) -> None:
    """Record that something has changed at Stripe; a fetch is due when this transaction has committed."""
    await tx.execute(NOTICE, org)


async def begin_due(tx: Tx, lease: timedelta, limit: int) -> list[FetchRow]:
    """Begin the due fetches; one that dies is begun again after the lease.  Runs as the system."""
    return [FetchRow(**row) for row in await tx.fetch(BEGIN_DUE, lease, limit)]


async def begin_fetch(tx: Tx, org: UUID, lease: timedelta) -> FetchRow | None:
    """Begin a fetch; return None without a customer."""
    row = await tx.fetchrow(BEGIN_ONE, org, lease)
    return FetchRow(**row) if row else None


async def apply(tx: Tx, row: FetchRow, values: Sequence[object], reconcile: timedelta) -> bool:
    """Store a fetch's result, in the order of the columns of `APPLY`; return False if a later one was stored first."""
    return await tx.execute(APPLY, row.org_id, row.fetch, row.notices, *values, reconcile) != "UPDATE 0"


# --- checkouts ----------------------------------------------------------------------------------------------------


async def open_checkout(tx: Tx, org: UUID) -> CheckoutRow | None:
    row = await tx.fetchrow(OPEN_CHECKOUT, org)
    return CheckoutRow(**row) if row else None


async def begin_checkout(tx: Tx, org: UUID, row: CheckoutRow) -> bool:
    """Begin a checkout; return False while another is open."""
    status = await tx.execute(BEGIN_CHECKOUT, row.id, org, row.plan_id, row.extra_seats, row.return_to)
    return status != "INSERT 0 0"


async def record_checkout(tx: Tx, id: UUID, session_id: str, url: str | None, expires_at: datetime) -> bool:
    """Store a checkout's session and page; return False if it has ended meanwhile."""
    return await tx.execute(CHECKOUT_MADE, id, session_id, url, expires_at) != "UPDATE 0"


async def end_checkout(tx: Tx, row: CheckoutRow) -> bool:
    """End a checkout; return False if it has ended, or if its page was opened since the row was read."""
    return await tx.execute(END_CHECKOUT, row.id, row.session_id) != "UPDATE 0"


# --- meters -------------------------------------------------------------------------------------------------------


async def claim_due_reports(tx: Tx, lease: timedelta, limit: int) -> list[DueReportRow]:
    """Claim the organizations that are due for a report of their usage.  Runs as the system."""
    return [DueReportRow(**row) for row in await tx.fetch(METER_DUE, lease, limit)]


async def record_metered(tx: Tx, org: UUID, until: datetime, again_at: datetime) -> None:
    """Record that all hours before `until` were reported."""
    await tx.execute(METERED, org, until, again_at)


async def unreported(
    tx: Tx, org: UUID, meter: str, resource: str, since: datetime, until: datetime, limit: int
) -> list[UnreportedRow]:
    """Return hours of which the meter has less than was used, except those in flight.  `meter`: its name in usage."""
    return [UnreportedRow(**row) for row in await tx.fetch(UNREPORTED, org, meter, resource, since, until, limit)]


async def begin_report(
    tx: Tx, org: UUID, resource: str, hour_at: datetime, quantity: int, reported: int
) -> tuple[int, datetime] | None:
    """Begin a report to a meter that has `reported`; return its sequence in the hour and time, or None if another began."""
    row = await tx.fetchrow(BEGIN_REPORT, org, resource, hour_at, quantity, reported)
    return (row["sequence"], row["sending_at"]) if row else None


async def record_report(tx: Tx, row: MeterReportRow) -> None:
    """Record that the meter has accepted a report."""
    await tx.execute(REPORTED, row.org_id, row.resource, row.hour_at, row.sequence)


async def record_refusal(tx: Tx, row: MeterReportRow) -> None:
    """Record that the meter has refused a report."""
    await tx.execute(REPORT_REFUSED, row.org_id, row.resource, row.hour_at, row.sequence)


async def reports_in_flight(
    tx: Tx, older: timedelta, resources: Sequence[str], limit: int, last: MeterReportRow | None = None
) -> list[MeterReportRow]:
    """Return reports in flight for longer than `older`, oldest first, after `last`.  Runs as the system."""
    position = (last.sending_at, last.org_id, last.resource, last.hour_at) if last else (None,) * 4
    return [MeterReportRow(**row) for row in await tx.fetch(SENDING, older, resources, limit, *position)]
