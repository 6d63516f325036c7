"""The quarantine: dead letters, events and reports that an operator can list and release (`hum admin jobs`)."""

from collections.abc import Sequence

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.types import JobId
from pgqueuer.queries import Queries

from control.calls import reports
from hum.contract.errors import FieldError, InvalidRequest, InvalidState
from storage import quarantine
from storage.db import BUSY, UNAVAILABLE, Db, Tx
from storage.quarantine import ItemRow

#: The number of fields in the key of each kind.
KEYS = {"job": 1, "event": 2, "report": 3}


def item_id(item: ItemRow) -> str:
    """Return an item's id, such as `job:17`, `event:usage:4711` or `report:media-1:30:2`."""
    return ":".join((item.kind, *item.key))


def parse_id(text: str) -> tuple[str, list[str]]:
    """Parse an id to its kind and the fields of its key, of which the last are numbers.  Raises InvalidRequest."""
    kind, *key = text.split(":")
    numbers = key if kind == "job" else key[1:]
    if len(key) != KEYS.get(kind) or not all(number.isascii() and number.isdecimal() for number in numbers):
        raise InvalidRequest([FieldError("ids", f"{text[:100]!r} is no id of a quarantined item")])
    return kind, key


async def release_items(db: Db, id_texts: Sequence[str]) -> int:
    """Release items: a worker retries jobs and events soon, and reports are stored at once; return how many existed.

    Raises InvalidRequest, and InvalidState for a report that still can't be stored; items before it are released.
    """
    keys_by_kind, released = [parse_id(text) for text in id_texts], 0
    async with db.system() as tx:
        released += await _release_jobs(tx, [int(key[0]) for kind, key in keys_by_kind if kind == "job"])
        for reader, event in [key for kind, key in keys_by_kind if kind == "event"]:
            released += await quarantine.release_event(tx, reader, int(event))
    for node, batch_seq, place in [key for kind, key in keys_by_kind if kind == "report"]:
        try:
            async with db.system() as tx:
                released += await reports.store_again(tx, node, int(batch_seq), int(place))
        except (*UNAVAILABLE, *BUSY):
            raise
        # The operator who asked for it is told whatever it is.
        except Exception as error:
            raise InvalidState(f"A report can't be stored still: {error!r}"[:500]) from error
    return released


async def _release_jobs(tx: Tx, jobs: Sequence[int]) -> int:
    """Requeue dead letters, with as many attempts as new jobs."""
    dead_letters = await quarantine.lock_jobs(tx, jobs)
    await quarantine.delete_attempts(tx, dead_letters)
    await Queries(AsyncpgDriver(tx)).requeue_jobs([JobId(id) for id in dead_letters])  # type: ignore[arg-type]  # as in jobs.py
    return len(dead_letters)
