"""Which files of a media machine are still wanted: it asks before it brings one to the store, and again before it deletes its own."""

from collections.abc import Sequence

from control.retention.rules import KEEP_ERASED
from hum import ids, recordings
from hum.clock import now
from hum.recordings import PEAKS, Owner
from storage import dropped_recordings
from storage.db import Db
from storage.dropped_recordings import KnownRow


async def check(db: Db, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of these files, those that are wanted no more, and those of which nothing is known."""
    owners = {path: owner for path in paths if (owner := recordings.owner(path)) is not None}
    async with db.system() as tx:
        known = await dropped_recordings.known(
            tx, [(path.removesuffix(PEAKS), owner) for path, owner in owners.items()]
        )
    found = {path: (owner, known[path.removesuffix(PEAKS)]) for path, owner in owners.items()}
    unwanted = [path for path, (owner, row) in found.items() if _is_unwanted(owner, row)]
    unknown = [path for path in paths if path not in found]
    unknown += [path for path, (_, row) in found.items() if not row.there and path not in unwanted]
    return unwanted, unknown


def _is_unwanted(owner: Owner, row: KnownRow) -> bool:
    """Deletions are remembered for a time; what is older than that and not there was deleted.

    What is younger, and of which nothing is known, is kept: it may be the database that is wrong, one restored from a backup.
    """
    return row.dropped or (not row.there and owner.id < ids.first_at(now() - KEEP_ERASED))
