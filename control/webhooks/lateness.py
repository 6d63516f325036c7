"""The lateness of deliveries: ours makes a worker not ready, a receiver's does not."""

from prometheus_client import Gauge

from storage import events, webhook_queues
from storage.db import Db

#: The reader of events that creates deliveries.
READER = "webhooks"
OLDEST = Gauge("hum_webhook_oldest_seconds", "Age of the oldest due delivery to a webhook")
LATE = Gauge("hum_webhook_late_seconds", "The longest time for which a webhook with a due delivery was not polled")


async def measure(db: Db) -> None:
    """Set the gauges of lateness."""
    async with db.system() as tx:
        OLDEST.set(await webhook_queues.oldest_seconds(tx))
        LATE.set(await webhook_queues.late_seconds(tx))


async def missing(db: Db, late_seconds: float) -> list[str]:
    """Describe what is late by more than `late_seconds`, a sentence each."""
    async with db.system() as tx:
        unread_seconds = await events.lag_seconds(tx, READER)
        unsent_seconds = await webhook_queues.late_seconds(tx)
    reasons = []
    if unread_seconds > late_seconds:
        reasons.append(f"the reader of webhooks' events is {unread_seconds:.0f} s behind")
    if unsent_seconds > late_seconds:
        reasons.append(f"webhooks' deliveries have been due for {unsent_seconds:.0f} s, and no worker has polled them")
    return reasons
