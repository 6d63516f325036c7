"""Notifications that an API key, a person or a session has lost rights."""

from uuid import UUID

from storage.db import Tx, notify

CHANNEL = "hum_revocations"


async def publish(tx: Tx, principal: UUID) -> None:
    """Notify the processes that serve this key, person or session, once this transaction is committed.

    Every change that takes rights away calls this in its own transaction.
    """
    await notify(tx, CHANNEL, str(principal))
