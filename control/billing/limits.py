"""What a plan still allows, asked where something is made: a number, a seat, a call, a text.

Nothing that exists is ever taken away, and no call is cut: a limit is looked at before a thing is made, in its transaction.  Without
billing there are no plans in the database, and nothing is limited.
"""

from dataclasses import dataclass
from uuid import UUID

from control.base.wire import rfc3339
from control.billing import rules
from control.billing.rules import Period
from hum.clock import now
from hum.errors import BillingRequired
from hum.plans import FREE
from storage import billing, usage
from storage.billing import AllowanceRow
from storage.db import Tx

#: What is counted by period; the others by what there is.
BY_PERIOD = frozenset({"minutes", "messages"})
WORDS = {"numbers": "numbers", "minutes": "minutes of calls", "messages": "messages", "seats": "seats"}


@dataclass(frozen=True, slots=True)
class Room:
    """What an organization uses of something that its plan limits."""

    allowance: AllowanceRow
    period: Period
    resource: str
    used: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


async def find(tx: Tx, org: UUID, resource: str, *, besides: str | None = None) -> Room | None:
    """What there is of something; None: it is not limited.  `besides`: an address whose seat does not count.

    Numbers and seats stay as they are counted until the transaction ends.
    """
    allowance = await billing.allowance(tx, org, FREE)
    if allowance is None or (limit := allowance.limit(resource)) is None:
        return None
    if resource not in BY_PERIOD:
        await billing.lock_organization(tx, org)
    period = rules.period(allowance.period_starts_at, allowance.period_ends_at, now())
    return Room(allowance, period, resource, await used(tx, org, resource, period, besides=besides), limit)


async def used(tx: Tx, org: UUID, resource: str, period: Period, *, besides: str | None = None) -> int:
    """How much is used of something, in the period if it is counted so.  Texts that wait to be sent count."""
    match resource:
        case "numbers":
            return await billing.count_numbers(tx, org)
        case "seats":
            return await billing.count_seats(tx, org, besides)
    totals = await usage.totals(tx, org, rules.full_hour(period.starts_at), period.ends_at)
    if resource == "minutes":
        return totals.call_minutes
    return totals.messages_sent + await billing.count_waiting(tx, org, period.ends_at)


async def require(tx: Tx, org: UUID, resource: str, more: int = 1, *, besides: str | None = None) -> None:
    """Raises BillingRequired if the plan does not allow so many more."""
    room = await find(tx, org, resource, besides=besides)
    if room is not None and room.used + more > room.limit:
        raise await refusal(tx, room)


async def has_room(tx: Tx, org: UUID, resource: str) -> bool:
    """Whether the plan allows one more."""
    room = await find(tx, org, resource)
    return room is None or room.left > 0


async def refusal(tx: Tx, room: Room) -> BillingRequired:
    """What is used up, and what would lift the limit."""
    plan, word = room.allowance.plan_id, WORDS[room.resource]
    facts = {"resource": room.resource, "plan": plan, "limit": str(room.limit), "used": str(room.used)}
    sentence = f"The plan {plan} allows {room.limit} {word}; {room.used} are used."
    ways = list[str]()
    if room.resource in BY_PERIOD:
        facts["resets_at"] = rfc3339(room.period.ends_at)
        ways.append(f"the next period begins {room.period.ends_at:%Y-%m-%d}")
    known = await billing.plans(tx)
    own = next((row for row in known if row.id == plan), None)
    if room.resource == "seats" and own is not None and own.sells_seats and room.allowance.by_subscription:
        facts["lifted_by"] = "extra_seats"
        ways.append("further seats can be paid for")
    bigger = next(
        (
            row
            for row in known
            if row.for_sale
            and row.position > room.allowance.position
            and _is_above(getattr(row, room.resource), room.used)
        ),
        None,
    )
    if bigger is not None:
        facts.setdefault("lifted_by", "plan")
        facts["upgrade_to"] = bigger.id
        ways.append(f"the plan {bigger.id} allows more")
    if ways:
        sentence += f" {ways[0].capitalize() if len(ways) == 1 else '; '.join(ways).capitalize()}."
    return BillingRequired(sentence, **facts)


def _is_above(limit: int | None, used: int) -> bool:
    return limit is None or limit > used
