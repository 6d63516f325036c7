"""Resealing of secrets that an older key of HUM_SECRET_KEYS sealed, in batches, so it may be stopped at any time."""

from dataclasses import dataclass, replace
from uuid import UUID

from hum.clock import monotonic_ms
from hum.observe.logs import log
from hum.secrets import Keyring, SealContext, Unsealable
from storage import sealed
from storage.db import Db
from storage.sealed import Column, SealedRow

LOG = log(__name__)
BATCH = 200
LOWEST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class ResealCounts:
    """The numbers of secrets that were resealed, that could not be opened, and that are left, the latter included."""

    resealed: int
    unsealable: int
    left: int


async def reseal(db: Db, keyring: Keyring, seconds: float, batch: int = BATCH) -> ResealCounts:
    """Reseal secrets for about so many seconds."""
    until_ms = monotonic_ms() + seconds * 1000
    done = unsealable = 0
    for column in sealed.COLUMNS:
        after = LOWEST
        while monotonic_ms() < until_ms:
            async with db.system() as tx:
                rows = await sealed.lock_outdated(tx, column, keyring.newest, after, batch)
                resealed_rows = [
                    sealed_row for row in rows if (sealed_row := _reseal(keyring, column, row)) is not None
                ]
                await sealed.change(tx, column, resealed_rows)
            done, unsealable = done + len(resealed_rows), unsealable + len(rows) - len(resealed_rows)
            if not rows:
                break
            after = rows[-1].id
    return ResealCounts(done, unsealable, await count_left(db, keyring))


async def count_left(db: Db, keyring: Keyring) -> int:
    """Return how many secrets an older key has sealed."""
    async with db.system() as tx:
        return await sealed.count(tx, keyring.newest)


def _reseal(keyring: Keyring, column: Column, row: SealedRow) -> SealedRow | None:
    place = SealContext(column.place, row.id, row.org_id)
    try:
        return replace(row, blob=keyring.seal(keyring.open(row.blob, place), place))
    except Unsealable as error:
        LOG.warning("could not open a secret", table=column.table, column=column.name, id=row.id, error=str(error))
        return None
