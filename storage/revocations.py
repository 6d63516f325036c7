"""Notifications that a key, a person or a session may no longer do what it could do before."""

from uuid import UUID

from storage.db import Tx, notify

CHANNEL = "hum_revocations"


async def publish(tx: Tx, principal: UUID) -> None:
    """Notify, once this transaction is committed, whoever serves this key, person or session.

    Every change that takes rights away calls this in its own transaction.
    """
    await notify(tx, CHANNEL, str(principal))
