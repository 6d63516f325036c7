"""The rules of deletion: the sizes of batches, hindrances, and audit entries.  Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control.base.job import Job

#: One at a time per organization, after all jobs for calls.
ERASE = Job("erase", concurrency=2, per_organization=1, timeout_seconds=3600)
#: Calls per transaction: some tens of milliseconds.
CALLS = 50
#: Messages per transaction.
MESSAGES = 200
#: Appointments per transaction.
APPOINTMENTS = 200
#: Events per transaction.
EVENTS = 500
#: Rows per transaction, when an organization is deleted.
ROWS = 1000
#: The time that a sweep spends on the deletion of an organization.
SWEEP_SECONDS = 20.0
#: Transactions per job; then the next organization has its turn.
STEPS = 200
#: Owed deletions of files per step.
FILES = 200
#: How long a deleted call is remembered: longer than a media process retains an unsent report.
KEEP_ERASED = timedelta(days=30)

#: How long a checkout that has expired hinders a deletion: it may have been paid, and the notice be late.
LATE_NOTICE = timedelta(days=1)
OPEN_CHECKOUT = (
    "A checkout of the organization may still be paid; try again: if it can't be closed, it expires within two days."
)

#: The actor in the audit log.
ACTOR = "system"


def cutoff(now: datetime, keep_days: int) -> datetime:
    """Return the time before which everything is deleted."""
    return now - timedelta(days=keep_days)


def hindrance(*, calls: int, texts: int, orders: int, subscriptions: int, checkouts: int) -> str | None:
    """Return why an organization with such activity can't be deleted now, or None."""
    if calls:
        return f"The organization has {calls} live calls; delete it when they have ended."
    if texts:
        return "A text of the organization is on its way to the carrier; try again in a moment."
    if orders:
        return "A number of the organization is being bought or released at the carrier; try again when that has ended."
    if subscriptions:
        return "The organization has a subscription at the payment provider; cancel it there first."
    if checkouts:
        return OPEN_CHECKOUT
    return None


def counted(*, calls: int, events: int, messages: int) -> Sequence[str]:
    """Return the counts of a deletion as an audit entry's fields."""
    return (f"calls={calls}", f"events={events}", *((f"messages={messages}",) if messages else ()))
