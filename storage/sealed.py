"""All columns that hold sealed secrets, for their re-encryption under a new key.

Add every new column of this kind here: a column that is not listed keeps the old key in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its table's key, and the place that its seals name (`hum.secrets.SealContext`)."""

    table: str
    name: str
    place: str
    key: str = "id"

    @property
    def not_newest(self) -> str:
        """SELECT of rows to re-seal; $1: the newest version; $2: the last key seen; $3: the limit."""
        return f"""
            SELECT {self.key} AS id, org_id, {self.name} AS blob
              FROM {self.table}
             WHERE substring({self.name} FROM 1 FOR 2) <> $1 AND {self.key} > $2
             ORDER BY {self.key}
             LIMIT $3
               FOR NO KEY UPDATE SKIP LOCKED
        """

    @property
    def change(self) -> str:
        return f"""
            UPDATE {self.table} t
               SET {self.name} = n.blob
              FROM unnest($1::uuid[], $2::bytea[]) AS n (id, blob)
             WHERE t.{self.key} = n.id
        """

    @property
    def count(self) -> str:
        return f"SELECT count(*) FROM {self.table} WHERE substring({self.name} FROM 1 FOR 2) <> $1"


COLUMNS = (
    Column("webhooks", "sealed_secret", "webhooks.secret"),
    Column("webhooks", "sealed_previous_secret", "webhooks.secret"),
    Column("webhooks", "sealed_headers", "webhooks.headers"),
    Column("crm_connectors", "secret", "crm_connectors"),
    Column("crm_connectors", "old_secret", "crm_connectors"),
    Column("mcp_servers", "sealed_headers", "mcp_servers.headers"),
    Column("mcp_servers", "sealed_bearer", "mcp_servers.bearer"),
    Column("mcp_servers", "sealed_oauth_secret", "mcp_servers.oauth"),
    Column("triggers", "secret", "triggers"),
    Column("triggers", "old_secret", "triggers"),
    Column("tool_secrets", "secret", "tool_secrets"),
)


@dataclass(frozen=True, slots=True)
class SealedRow:
    id: UUID
    org_id: UUID
    blob: bytes


async def lock_outdated(tx: Tx, column: Column, newest: bytes, after: UUID, limit: int) -> list[SealedRow]:
    """Lock and return the column's next rows that are not sealed by version `newest` (two bytes), without rows locked elsewhere.

    Runs as the system.
    """
    return [SealedRow(**row) for row in await tx.fetch(column.not_newest, newest, after, limit)]


async def change(tx: Tx, column: Column, rows: Sequence[SealedRow]) -> None:
    await tx.execute(column.change, [row.id for row in rows], [row.blob for row in rows])


async def count(tx: Tx, newest: bytes) -> int:
    """Return how many secrets are not sealed by the newest key.  Runs as the system."""
    return sum([await tx.fetchval(column.count, newest) for column in COLUMNS])
