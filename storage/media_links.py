"""The media plane's links: the last stored batch of each process's reports, and which processes are alive and accept calls.

Functions run as the system.  A process is alive while its link is open, or was when control died, and its heartbeats arrive
every few seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx, notify

#: Notified with a process's name when its link opens or closes, or when it begins or stops accepting calls.
CHANNEL = "hum_links"

SEQ = "SELECT batch_seq FROM media_links WHERE node = $1"
SET_SEQ = """
    INSERT INTO media_links (node, batch_seq) VALUES ($1, $2)
    ON CONFLICT (node) DO UPDATE SET batch_seq = excluded.batch_seq, seen_at = now()
"""
OPEN = """
    INSERT INTO media_links (node, batch_seq, link, refuses, places, url, beat, zone, version)
    VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (node) DO UPDATE
       SET link = excluded.link, refuses = excluded.refuses, places = excluded.places, url = excluded.url,
           beat = excluded.beat, zone = excluded.zone, version = excluded.version, seen_at = now()
"""
SET_TAKES = "UPDATE media_links SET takes = $2 WHERE node = $1"
REATTACH_CALLS = """
    UPDATE calls SET lost_at = NULL, looked_at = NULL
     WHERE node = $1 AND status IN ('ringing', 'in_progress') AND lost_at IS NOT NULL
"""
MOVE_CALL = """
    UPDATE calls SET node = $3, lost_at = NULL, looked_at = NULL
     WHERE id = $1 AND node = $2 AND status IN ('ringing', 'in_progress')
    RETURNING true
"""
HEARTBEAT = """
    UPDATE media_links SET refuses = $3, places = $4, url = $5, beat = $6, seen_at = now() WHERE node = $1 AND link = $2
    RETURNING batch_seq
"""
CLOSE = "UPDATE media_links SET link = NULL, seen_at = now() WHERE node = $1 AND link = $2"
IS_THERE = "SELECT link IS NOT NULL AND seen_at > now() - $2::interval FROM media_links WHERE node = $1"
PURGE = "DELETE FROM media_links WHERE seen_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class NodeState:
    """A media process's state.

    `refuses`: why it accepts no calls, None if it does; `places`: its capacity in calls, None if unknown; `beat`: the interval of
    its heartbeats; `zone`: empty if in no zone; `version`: its release.
    """

    refuses: str | None = None
    places: int | None = None
    url: str = ""
    beat: timedelta | None = None
    zone: str = ""
    version: str = ""


async def seq(tx: Tx, node: str) -> int:
    """Return the last stored batch of a media process."""
    return await tx.fetchval(SEQ, node) or 0


async def set_seq(tx: Tx, node: str, seq: int) -> None:
    await tx.execute(SET_SEQ, node, seq)


async def open(tx: Tx, node: str, link: UUID, state: NodeState) -> None:
    """Open a link of a media process; its calls are no longer orphaned."""
    values = (state.refuses, state.places, state.url, state.beat, state.zone, state.version)
    await tx.execute(OPEN, node, link, *values)
    await tx.execute(REATTACH_CALLS, node)
    await notify(tx, CHANNEL, node)


async def set_takes(tx: Tx, node: str, origins: Sequence[str]) -> None:
    """Store the origins of the calls that a media process accepts."""
    await tx.execute(SET_TAKES, node, list(origins))


async def record_heartbeat(tx: Tx, node: str, link: UUID, state: NodeState, *, changed: bool) -> int | None:
    """Record a process's heartbeat and state; return its last stored batch, or None if this is not its current link."""
    last: int | None = await tx.fetchval(HEARTBEAT, node, link, state.refuses, state.places, state.url, state.beat)
    if changed:
        await notify(tx, CHANNEL, node)
    return last


async def close(tx: Tx, node: str, link: UUID) -> None:
    """Close a link; does nothing if the process has a newer one."""
    await tx.execute(CLOSE, node, link)
    await notify(tx, CHANNEL, node)


async def move_call(tx: Tx, call: UUID, from_node: str, node: str) -> bool:
    """Move a live call from one media process to another; return False if it was not `from_node`'s."""
    return bool(await tx.fetchval(MOVE_CALL, call, from_node, node))


async def is_alive(tx: Tx, node: str, silent: timedelta) -> bool:
    """Return whether a media process is alive; one without a heartbeat for `silent` is not."""
    return bool(await tx.fetchval(IS_THERE, node, silent))


async def purge(tx: Tx, keep: timedelta) -> None:
    """Purge processes without a heartbeat for `keep`: process names are unique, so none of them returns."""
    await tx.execute(PURGE, keep)
