"""How late deliveries are: by our fault, which makes a worker not ready, or by a receiver's, which does not."""

from prometheus_client import Gauge

from storage import events, webhook_queues
from storage.db import Db

#: The reader of events that makes deliveries.
READER = "webhooks"
OLDEST = Gauge("hum_webhook_oldest_seconds", "For how long the oldest delivery to a webhook has been due")
LATE = Gauge("hum_webhook_late_seconds", "For how long nobody has looked at a webhook with something due")


async def measure(db: Db) -> None:
    async with db.system() as tx:
        OLDEST.set(await webhook_queues.oldest_seconds(tx))
        LATE.set(await webhook_queues.late_seconds(tx))


async def missing(db: Db, late_seconds: float) -> list[str]:
    """What is late by more than `late_seconds`, a sentence each."""
    async with db.system() as tx:
        unread_seconds = await events.lag_seconds(tx, READER)
        unsent_seconds = await webhook_queues.late_seconds(tx)
    found = []
    if unread_seconds > late_seconds:
        found.append(f"events have waited for {unread_seconds:.0f} s to be made webhooks' deliveries")
    if unsent_seconds > late_seconds:
        found.append(f"webhooks' deliveries have been due for {unsent_seconds:.0f} s, and no worker has looked at them")
    return found
