"""The check of a media machine's files, before it uploads a file to the store and before it deletes its own copy."""

from collections.abc import Sequence

from control.retention.deletionlimits import KEEP_ERASED
from hum import ids, recordings
from hum.clock import now
from hum.recordings import PEAKS, RecordingOwner
from storage import dropped_recordings
from storage.db import Db
from storage.dropped_recordings import FileStatusRow


async def check(db: Db, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which of these files are unwanted, and which are unknown."""
    owners = {path: owner for path in paths if (owner := recordings.owner(path)) is not None}
    async with db.system() as tx:
        rows = await dropped_recordings.statuses(
            tx, [(path.removesuffix(PEAKS), owner) for path, owner in owners.items()]
        )
    rows_by_path = {path: (owner, rows[path.removesuffix(PEAKS)]) for path, owner in owners.items()}
    unwanted = [path for path, (owner, row) in rows_by_path.items() if _is_unwanted(owner, row)]
    unknown = [path for path in paths if path not in rows_by_path]
    unknown += [path for path, (_, row) in rows_by_path.items() if not row.exists and path not in unwanted]
    return unwanted, unknown


def _is_unwanted(owner: RecordingOwner, row: FileStatusRow) -> bool:
    """Tell whether a file or its owner was deleted.

    Deletions are recorded for `KEEP_ERASED`; an older owner without a row was deleted.  The file of a younger one
    without a row is retained, since the database may have been restored from a backup.
    """
    return row.is_deleted or (not row.exists and owner.id < ids.lowest_at(now() - KEEP_ERASED))
