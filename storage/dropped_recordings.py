"""Files of calls that are deleted before their calls, and the status of the files in a process's store."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hum.ids import Kind
from hum.recordings import RecordingOwner
from storage.db import Tx

DROP = """
    INSERT INTO dropped_recordings (org_id, call_id, path) SELECT c.org_id, c.id, path FROM calls c, unnest($2::text[]) AS path
     WHERE c.id = $1
    ON CONFLICT (call_id, path) DO NOTHING
"""
# Files that could not be deleted go to the end of the queue.
CLAIM = """
    UPDATE dropped_recordings SET tried_at = now()
     WHERE (call_id, path) IN (SELECT call_id, path FROM dropped_recordings
                                WHERE gone_at IS NULL
                                ORDER BY tried_at NULLS FIRST
                                LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING call_id, path
"""
RECORD_DELETION = "UPDATE dropped_recordings SET gone_at = now() WHERE call_id = $1 AND path = $2"
WAIT_SECONDS = """
    SELECT coalesce(extract(epoch FROM now() - min(dropped_at)), 0)::float8 FROM dropped_recordings WHERE gone_at IS NULL
"""
# Whether the owner of a file exists, or the file or its owner was deleted; neither: the file is unknown.
OF_CALLS = """
    SELECT f.n,
           EXISTS (SELECT FROM calls c WHERE c.id = f.id AND c.org_id = f.org_id) AS there,
           EXISTS (SELECT FROM erased_calls e WHERE e.call_id = f.id)
           OR EXISTS (SELECT FROM dropped_recordings d WHERE d.call_id = f.id AND d.path = f.path)
           OR EXISTS (SELECT FROM deleted_organizations o WHERE o.id = f.org_id) AS dropped
      FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS f (org_id, id, path, n)
     ORDER BY f.n
"""
OF_MESSAGES = """
    SELECT f.n,
           EXISTS (SELECT FROM messages m WHERE m.id = f.id AND m.org_id = f.org_id) AS there,
           EXISTS (SELECT FROM erased_media e WHERE e.org_id = f.org_id AND e.path = f.path)
           OR EXISTS (SELECT FROM deleted_organizations o WHERE o.id = f.org_id) AS dropped
      FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS f (org_id, id, path, n)
     ORDER BY f.n
"""


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A file that may still be in the store."""

    call_id: UUID
    path: str


@dataclass(frozen=True, slots=True)
class FileStatusRow:
    """A file's status: its owner exists, or it was deleted."""

    exists: bool
    is_deleted: bool


async def drop(tx: Tx, call: UUID, paths: Sequence[str]) -> None:
    """Schedule the deletion of these files of a call."""
    await tx.execute(DROP, call, list(paths))


async def claim(tx: Tx, limit: int) -> list[DroppedRow]:
    """Claim files that may still be in the store, those without an attempt first.  Runs as the system."""
    return [DroppedRow(**row) for row in await tx.fetch(CLAIM, limit)]


async def record_deletion(tx: Tx, row: DroppedRow) -> None:
    """Record that a file is no longer in the store.  Runs as the system."""
    await tx.execute(RECORD_DELETION, row.call_id, row.path)


async def wait_seconds(tx: Tx) -> float:
    """Return for how long the oldest file has waited for deletion; 0 if none waits.  Runs as the system."""
    seconds: float = await tx.fetchval(WAIT_SECONDS)
    return seconds


async def statuses(tx: Tx, files: Sequence[tuple[str, RecordingOwner]]) -> dict[str, FileStatusRow]:
    """Return each file's status, by its path.  Runs as the system."""
    statuses: dict[str, FileStatusRow] = {}
    for kind, query in ((Kind.CALL, OF_CALLS), (Kind.MESSAGE, OF_MESSAGES)):
        of_kind = [(path, owner) for path, owner in files if owner.kind is kind]
        if of_kind:
            orgs, ids, paths = zip(*((owner.org_id, owner.id, path) for path, owner in of_kind), strict=True)
            rows = await tx.fetch(query, orgs, ids, paths)
            statuses |= {
                path: FileStatusRow(row["there"], row["dropped"]) for path, row in zip(paths, rows, strict=True)
            }
    return statuses
