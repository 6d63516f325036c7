"""Plans, subscriptions, what is used of what a plan allows, and what Stripe's meters were told."""

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
# The subscription's plan while it is in force; else the organization's own; else the one that everybody has.
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
# $2: an address whose invitation is replaced, and counts no more.
COUNT_SEATS = """
    SELECT (SELECT count(*) FROM memberships WHERE org_id = $1)
         + (SELECT count(*) FROM invites
             WHERE org_id = $1 AND expires_at > now() AND lower(email COLLATE "C") IS DISTINCT FROM lower($2::text COLLATE "C"))
"""
# Texts that wait will be sent: those that are due before the period ends.
COUNT_WAITING = "SELECT count(*) FROM messages WHERE org_id = $1 AND due_at < $2 AND status IN ('scheduled', 'queued')"
ORGANIZATIONS = "SELECT org_id FROM organizations WHERE org_id > $1 ORDER BY org_id LIMIT $2"
WARN = "INSERT INTO billing_warnings (org_id, resource, period_starts_at, percent) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"

# --- accounts

_ACCOUNT = """
    org_id, customer_id, customer_faults, customer_asked_at, subscription_id, status, plan_id, extra_seats, period_starts_at,
    period_ends_at, cancel_at_period_end, unpaid_since, in_force_until, fetches, applied, notices
"""
ACCOUNT = f"SELECT {_ACCOUNT} FROM billing_accounts WHERE org_id = $1"
OPEN_ACCOUNT = "INSERT INTO billing_accounts (org_id) VALUES ($1) ON CONFLICT DO NOTHING"
CUSTOMER_ASKED = """
    UPDATE billing_accounts SET customer_faults = customer_faults + 1, customer_asked_at = now()
     WHERE org_id = $1 AND customer_faults = $2 AND customer_id IS NULL
"""
# The first one stays: a request that was repeated under one key has made one customer.
SET_CUSTOMER = """
    UPDATE billing_accounts SET customer_id = $2, fetch_at = coalesce(fetch_at, now())
     WHERE org_id = $1 AND customer_id IS NULL
"""
NAME = "SELECT name FROM organizations WHERE org_id = $1"
OF_CUSTOMER = "SELECT org_id FROM billing_accounts WHERE customer_id = $1"
ADD_EVENT = "INSERT INTO billing_events (id, org_id, type) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
FORGET_EVENTS = "DELETE FROM billing_events WHERE received_at < now() - $1::interval"
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
# Only what was fetched later than what is known.  If something changed since it began, there is another fetch at once.
APPLY = """
    UPDATE billing_accounts
       SET subscription_id = $4, status = $5, plan_id = $6, extra_seats = $7, period_starts_at = $8, period_ends_at = $9,
           cancel_at_period_end = $10, unpaid_since = $11, in_force_until = $12, applied = $2,
           metered_from = coalesce(metered_from, $13), meter_at = coalesce(meter_at, CASE WHEN $13::timestamptz IS NOT NULL THEN now() END),
           fetch_at = CASE WHEN notices > $3 THEN now() ELSE now() + $14::interval END
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
END_CHECKOUT = "UPDATE billing_checkouts SET ended_at = now() WHERE id = $1 AND ended_at IS NULL"

# --- meters

METER_DUE = """
    UPDATE billing_accounts SET meter_at = now() + $1::interval
     WHERE org_id IN (SELECT org_id FROM billing_accounts WHERE meter_at <= now()
                       ORDER BY meter_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING org_id, customer_id, metered_from, metered_until
"""
METERED = "UPDATE billing_accounts SET metered_until = greatest(metered_until, $2), meter_at = $3 WHERE org_id = $1"
# $2: usage's name of what is counted; $3: ours.  The roll-ups' quarters are within hours.
UNTOLD = """
    SELECT u.hour_at, u.quantity - coalesce(h.quantity, 0) AS more, coalesce(h.quantity, 0) AS known
      FROM (SELECT date_trunc('hour', quarter_at, 'UTC') AS hour_at, sum(quantity)::bigint AS quantity
              FROM usage_rollups
             WHERE org_id = $1 AND meter = $2 AND quarter_at >= $4 AND quarter_at < $5
             GROUP BY 1) u
      LEFT JOIN billing_meter_hours h ON h.org_id = $1 AND h.resource = $3 AND h.hour_at = u.hour_at
     WHERE u.quantity > coalesce(h.quantity, 0) AND h.sending IS NULL
     ORDER BY u.hour_at
     LIMIT $6
"""
# Another process may have begun, or finished, since `UNTOLD` was asked: then nothing is begun.
BEGIN_TELLING = """
    INSERT INTO billing_meter_hours AS h (org_id, resource, hour_at, sending, sending_at)
    VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (org_id, resource, hour_at) DO UPDATE
       SET sending = excluded.sending, sending_at = excluded.sending_at
     WHERE h.sending IS NULL AND h.quantity = $5
    RETURNING sequence, sending_at
"""
TOLD = """
    UPDATE billing_meter_hours SET quantity = quantity + sending, sequence = sequence + 1, sending = NULL, sending_at = NULL
     WHERE org_id = $1 AND resource = $2 AND hour_at = $3 AND sequence = $4 AND sending IS NOT NULL
"""
NOT_TOLD = """
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
    """What an organization may use; None: as much as it likes."""

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
class MeteredRow:
    """An organization whose usage is looked at."""

    org_id: UUID
    customer_id: str
    metered_from: datetime
    metered_until: datetime | None


@dataclass(frozen=True, slots=True)
class UntoldRow:
    """An hour of which a meter has `known`, and lacks `more`."""

    hour_at: datetime
    more: int
    known: int


@dataclass(frozen=True, slots=True)
class SendingRow:
    """Usage of an hour that is on its way to a meter, which has `quantity` already."""

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
    """Smallest first; none: there is no billing."""
    return [PlanRow(**row) for row in await tx.fetch(PLANS)]


async def set_plans(tx: Tx, rows: Sequence[PlanRow]) -> bool:
    """As the system: these are the plans; False if they are already."""
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
    """What an organization may use; None: there is no billing.  `otherwise`: the plan of one that has none."""
    row = await tx.fetchrow(ALLOWANCE, org, otherwise)
    return AllowanceRow(**row) if row else None


async def lock_organization(tx: Tx, org: UUID) -> None:
    """Nobody else counts what this organization has before this transaction ends."""
    await tx.execute(LOCK_ORGANIZATION, org)


async def count_numbers(tx: Tx, org: UUID) -> int:
    """Numbers that it has or is buying."""
    count: int = await tx.fetchval(COUNT_NUMBERS, org)
    return count


async def count_seats(tx: Tx, org: UUID, besides: str | None = None) -> int:
    """Members, and open invitations to others than this address."""
    count: int = await tx.fetchval(COUNT_SEATS, org, besides)
    return count


async def count_waiting(tx: Tx, org: UUID, until: datetime) -> int:
    """Texts that are to be sent before then."""
    count: int = await tx.fetchval(COUNT_WAITING, org, until)
    return count


async def organizations(tx: Tx, after: UUID, limit: int) -> list[UUID]:
    """As the system: in the order of ids."""
    return [row["org_id"] for row in await tx.fetch(ORGANIZATIONS, after, limit)]


async def warn(tx: Tx, org: UUID, resource: str, period_starts_at: datetime, percent: int) -> bool:
    """Note a warning; False if the organization has had it."""
    return await tx.execute(WARN, org, resource, period_starts_at, percent) != "INSERT 0 0"


# --- accounts -----------------------------------------------------------------------------------------------------


async def account(tx: Tx, org: UUID, *, lock: bool = False) -> AccountRow | None:
    """What is known of an organization at Stripe."""
    row = await tx.fetchrow(LOCK_ACCOUNT if lock else ACCOUNT, org)
    return AccountRow(**row) if row else None


async def open_account(tx: Tx, org: UUID) -> AccountRow:
    """As `account`; it is made if need be."""
    await tx.execute(OPEN_ACCOUNT, org)
    found = await account(tx, org)
    assert found is not None, "it was made in this transaction"
    return found


async def customer_asked(tx: Tx, org: UUID, faults: int) -> None:
    """A request for a customer failed, the one after so many others; it may have made one."""
    await tx.execute(CUSTOMER_ASKED, org, faults)


async def set_customer(tx: Tx, org: UUID, customer_id: str) -> None:
    """Its customer, unless it has one."""
    await tx.execute(SET_CUSTOMER, org, customer_id)


async def name(tx: Tx, org: UUID) -> str:
    found: str = await tx.fetchval(NAME, org)
    return found


async def of_customer(tx: Tx, customer_id: str) -> UUID | None:
    """As the system: whose customer it is."""
    found: UUID | None = await tx.fetchval(OF_CUSTOMER, customer_id)
    return found


async def add_event(tx: Tx, id: str, org: UUID, type: str) -> bool:
    """Note an event of Stripe's; False if it is known."""
    return await tx.execute(ADD_EVENT, id, org, type) != "INSERT 0 0"


async def forget_events(tx: Tx, older: timedelta) -> None:
    await tx.execute(FORGET_EVENTS, older)


async def notice(tx: Tx, org: UUID) -> None:
    """Something has changed at Stripe: it is fetched as soon as this transaction has ended."""
    await tx.execute(NOTICE, org)


async def begin_due(tx: Tx, lease: timedelta, limit: int) -> list[FetchRow]:
    """As the system: begin the fetches that are due; one that dies is begun again after the lease."""
    return [FetchRow(**row) for row in await tx.fetch(BEGIN_DUE, lease, limit)]


async def begin_fetch(tx: Tx, org: UUID, lease: timedelta) -> FetchRow | None:
    """Begin a fetch; None without a customer."""
    row = await tx.fetchrow(BEGIN_ONE, org, lease)
    return FetchRow(**row) if row else None


async def apply(tx: Tx, begun: FetchRow, values: Sequence[object], reconcile: timedelta) -> bool:
    """Store what a fetch found, in the order of the columns of `APPLY`; False if a later one was faster."""
    return await tx.execute(APPLY, begun.org_id, begun.fetch, begun.notices, *values, reconcile) != "UPDATE 0"


# --- checkouts ----------------------------------------------------------------------------------------------------


async def open_checkout(tx: Tx, org: UUID) -> CheckoutRow | None:
    row = await tx.fetchrow(OPEN_CHECKOUT, org)
    return CheckoutRow(**row) if row else None


async def begin_checkout(tx: Tx, org: UUID, row: CheckoutRow) -> bool:
    """False while another is open."""
    done = await tx.execute(BEGIN_CHECKOUT, row.id, org, row.plan_id, row.extra_seats, row.return_to)
    return done != "INSERT 0 0"


async def checkout_made(tx: Tx, id: UUID, session_id: str, url: str | None, expires_at: datetime) -> bool:
    """It has a page; False if it has ended meanwhile."""
    return await tx.execute(CHECKOUT_MADE, id, session_id, url, expires_at) != "UPDATE 0"


async def end_checkout(tx: Tx, id: UUID) -> None:
    await tx.execute(END_CHECKOUT, id)


# --- meters -------------------------------------------------------------------------------------------------------


async def meter_due(tx: Tx, lease: timedelta, limit: int) -> list[MeteredRow]:
    """As the system: the organizations whose usage is to be looked at."""
    return [MeteredRow(**row) for row in await tx.fetch(METER_DUE, lease, limit)]


async def metered(tx: Tx, org: UUID, until: datetime, again_at: datetime) -> None:
    """All hours before `until` were told."""
    await tx.execute(METERED, org, until, again_at)


async def untold(
    tx: Tx, org: UUID, meter: str, resource: str, since: datetime, until: datetime, limit: int
) -> list[UntoldRow]:
    """Hours of which the meter knows less than was used; not those that are on their way.  `meter`: usage's."""
    return [UntoldRow(**row) for row in await tx.fetch(UNTOLD, org, meter, resource, since, until, limit)]


async def begin_telling(
    tx: Tx, org: UUID, resource: str, hour_at: datetime, quantity: int, known: int
) -> tuple[int, datetime] | None:
    """Something goes to a meter that has `known`: its number among all of the hour; None if another process was faster."""
    row = await tx.fetchrow(BEGIN_TELLING, org, resource, hour_at, quantity, known)
    return (row["sequence"], row["sending_at"]) if row else None


async def told(tx: Tx, row: SendingRow) -> None:
    """The meter has it."""
    await tx.execute(TOLD, row.org_id, row.resource, row.hour_at, row.sequence)


async def not_told(tx: Tx, row: SendingRow) -> None:
    """The meter has refused it."""
    await tx.execute(NOT_TOLD, row.org_id, row.resource, row.hour_at, row.sequence)


async def sending(
    tx: Tx, older: timedelta, resources: Sequence[str], limit: int, last: SendingRow | None = None
) -> list[SendingRow]:
    """As the system: what of these resources has been on its way for longer than that; what follows `last`, oldest first."""
    place = (last.sending_at, last.org_id, last.resource, last.hour_at) if last else (None,) * 4
    return [SendingRow(**row) for row in await tx.fetch(SENDING, older, resources, limit, *place)]
