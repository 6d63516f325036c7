"""Sealing anew what an older key of HUM_SECRET_KEYS has sealed: a batch in each transaction, so it may be stopped at any time."""

from dataclasses import dataclass, replace
from uuid import UUID

from hum.clock import monotonic_ms
from hum.secrets import Keyring, Place, Unsealable
from hum.telemetry import log
from storage import sealed
from storage.db import Db
from storage.sealed import Column, SealedRow

LOG = log(__name__)
BATCH = 200
LOWEST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many are sealed by the newest key now, how many could not be opened, and how many are left, those included."""

    resealed: int
    unsealable: int
    left: int


async def reseal(db: Db, keyring: Keyring, seconds: float, batch: int = BATCH) -> Resealed:
    """Seal anew, for about so many seconds."""
    until_ms = monotonic_ms() + seconds * 1000
    done = unsealable = 0
    for column in sealed.COLUMNS:
        after = LOWEST
        while monotonic_ms() < until_ms:
            async with db.system() as tx:
                rows = await sealed.not_newest(tx, column, keyring.newest, after, batch)
                anew = [found for row in rows if (found := _resealed(keyring, column, row)) is not None]
                await sealed.change(tx, column, anew)
            done, unsealable = done + len(anew), unsealable + len(rows) - len(anew)
            if not rows:
                break
            after = rows[-1].id
    return Resealed(done, unsealable, await left(db, keyring))


async def left(db: Db, keyring: Keyring) -> int:
    """How many secrets an older key has sealed."""
    async with db.system() as tx:
        return await sealed.count(tx, keyring.newest)


def _resealed(keyring: Keyring, column: Column, row: SealedRow) -> SealedRow | None:
    place = Place(column.place, row.id, row.org_id)
    try:
        return replace(row, blob=keyring.seal(keyring.open(row.blob, place), place))
    except Unsealable as error:
        LOG.warning("a secret can't be opened", table=column.table, column=column.name, id=row.id, error=str(error))
        return None
