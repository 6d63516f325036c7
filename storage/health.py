"""The database's own health: replication lag of its standbys, and its clock."""

from dataclasses import dataclass

from storage.db import Tx

# Bytes, not time: a standby that has replayed everything has no lag however long nothing is written.  Clients that receive the
# WAL without replaying it (backups, archives) are no standbys.  Only members of pg_read_all_stats see complete rows.
STANDBYS = """
    SELECT coalesce(nullif(application_name, ''), client_addr::text, 'standby') AS name,
           max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float8 AS lag_bytes
      FROM pg_stat_replication
     WHERE replay_lsn IS NOT NULL AND NOT pg_is_in_recovery()
     GROUP BY 1
     ORDER BY 1
     LIMIT 100
"""
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
# A sequence is ahead of what is committed: who sees it move looks again soon.
WRITTEN = """
    SELECT coalesce(pg_sequence_last_value('events_places'::regclass), 0) AS events,
           coalesce(pg_sequence_last_value('pgqueuer_id_seq'::regclass), 0) AS jobs
"""


@dataclass(frozen=True, slots=True)
class StandbyRow:
    name: str
    lag_bytes: float


async def standbys(tx: Tx) -> list[StandbyRow]:
    """Return the standbys and how many bytes of WAL each has not replayed yet.  Runs as the system."""
    return [StandbyRow(**row) for row in await tx.fetch(STANDBYS)]


async def clock_seconds(tx: Tx) -> float:
    """Return the database's clock, in Unix time."""
    seconds: float = await tx.fetchval(CLOCK)
    return seconds


async def written(tx: Tx) -> tuple[int, int]:
    """Return two numbers that grow with each event and each job.  Runs as the system."""
    row = await tx.fetchrow(WRITTEN)
    assert row is not None
    return row["events"], row["jobs"]
