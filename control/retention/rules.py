"""What is deleted in one go, and how the audit log describes it.  Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control.base.job import Job

#: One of an organization at a time, and behind whatever calls need.
ERASE = Job("erase", concurrency=2, per_organization=1, timeout_seconds=3600)
#: Calls of one transaction: some tens of milliseconds.
CALLS = 50
#: Messages of one transaction.
MESSAGES = 200
#: Events of one transaction.
EVENTS = 500
#: Rows of one transaction, when an organization is deleted.
ROWS = 1000
#: For how long one sweep carries on the deletion of an organization.
SWEEP_SECONDS = 20.0
#: Transactions of one job; then the next organization has its turn.
STEPS = 200
#: Deleted calls whose files one step of the sweep looks for.
FILES = 200
#: How long it is remembered that a call was deleted: longer than a media process keeps a report that it can't send.
KEEP_ERASED = timedelta(days=30)

#: Who the audit log says it was.
ACTOR = "system"


def cutoff(now: datetime, keep_days: int) -> datetime:
    """What is older than this is not kept."""
    return now - timedelta(days=keep_days)


def hindrance(*, calls: int, texts: int, orders: int, subscriptions: int) -> str | None:
    """Why an organization that still does so much can't be deleted now; None if it can."""
    if calls:
        return f"The organization has {calls} live calls; delete it when they have ended."
    if texts:
        return "A text of the organization is on its way to the carrier; try again in a moment."
    if orders:
        return "A number of the organization is being bought or released at the carrier; try again when that has ended."
    if subscriptions:
        return "The organization has a subscription at the payment provider; cancel it there first."
    return None


def counted(*, calls: int, events: int, messages: int) -> Sequence[str]:
    """How much was deleted, as an audit entry's fields."""
    return (f"calls={calls}", f"events={events}", *((f"messages={messages}",) if messages else ()))
