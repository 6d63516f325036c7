"""What could not be handled: shown to an operator, and handled again when the operator says so (`hum admin jobs`)."""

from collections.abc import Sequence

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.types import JobId
from pgqueuer.queries import Queries

from control.calls import reports
from hum.errors import FieldError, InvalidRequest, InvalidState
from storage import set_aside
from storage.db import AWAY, BUSY, Db, Tx
from storage.set_aside import SetAside

#: How many fields name one of a kind.
KEYS = {"job": 1, "event": 2, "report": 3}


def shown_id(found: SetAside) -> str:
    """`job:17`, `event:usage:4711`, `report:media-1:30:2`."""
    return ":".join((found.kind, *found.key))


def parse_id(shown: str) -> tuple[str, list[str]]:
    """The kind, and the fields that name one of it, of which the last are numbers.  Raises InvalidRequest."""
    kind, *key = shown.split(":")
    numbers = key if kind == "job" else key[1:]
    if len(key) != KEYS.get(kind) or not all(each.isascii() and each.isdecimal() for each in numbers):
        raise InvalidRequest([FieldError("ids", f"{shown[:100]!r} is no id of what is set aside")])
    return kind, key


async def release(db: Db, shown: Sequence[str]) -> int:
    """Have these handled again: jobs and events by a worker, soon; reports at once.  How many there were.

    Raises InvalidState for a report that still can't be stored; those before it are.
    """
    wanted, released = [parse_id(each) for each in shown], 0
    async with db.system() as tx:
        released += await _release_jobs(tx, [int(key[0]) for kind, key in wanted if kind == "job"])
        for reader, event in [key for kind, key in wanted if kind == "event"]:
            released += await set_aside.release_event(tx, reader, int(event))
    for node, batch_seq, place in [key for kind, key in wanted if kind == "report"]:
        try:
            async with db.system() as tx:
                released += await reports.store_again(tx, node, int(batch_seq), int(place))
        except (*AWAY, *BUSY):
            raise
        except Exception as error:
            raise InvalidState(f"A report can't be stored still: {error!r}"[:500]) from error
    return released


async def _release_jobs(tx: Tx, jobs: Sequence[int]) -> int:
    """Held jobs begin anew, with as many attempts as new ones."""
    held = await set_aside.lock_jobs(tx, jobs)
    await set_aside.forget_attempts(tx, held)
    await Queries(AsyncpgDriver(tx)).requeue_jobs([JobId(each) for each in held])  # type: ignore[arg-type]  # as in jobs.py
    return len(held)
