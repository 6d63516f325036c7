"""The media plane's links: how far each process's reports are stored, which processes are there, and which take calls.

As the system.  A process is there while its link is open, or was when control died, and it says so every few seconds.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx, notify

#: Notified with the name of a process whose link opened or closed, or that takes calls now, or no longer does.
CHANNEL = "hum_links"

SEQ = "SELECT batch_seq FROM media_links WHERE node = $1"
SET_SEQ = """
    INSERT INTO media_links (node, batch_seq) VALUES ($1, $2)
    ON CONFLICT (node) DO UPDATE SET batch_seq = excluded.batch_seq, seen_at = now()
"""
OPEN = """
    INSERT INTO media_links (node, batch_seq, link, refuses) VALUES ($1, 0, $2, $3)
    ON CONFLICT (node) DO UPDATE SET link = excluded.link, refuses = excluded.refuses, seen_at = now()
"""
FOUND_AGAIN = """
    UPDATE calls SET lost_at = NULL, looked_at = NULL
     WHERE node = $1 AND status IN ('queued', 'ringing', 'in_progress') AND lost_at IS NOT NULL
"""
SEEN = "UPDATE media_links SET refuses = $3, seen_at = now() WHERE node = $1 AND link = $2"
CLOSE = "UPDATE media_links SET link = NULL, seen_at = now() WHERE node = $1 AND link = $2"
IS_THERE = "SELECT link IS NOT NULL AND seen_at > now() - $2::interval FROM media_links WHERE node = $1"
ROOM = """
    SELECT count(*) AS there, count(*) FILTER (WHERE refuses IS NULL) AS taking
      FROM media_links
     WHERE link IS NOT NULL AND seen_at > now() - $1::interval
"""
FORGET = "DELETE FROM media_links WHERE seen_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class Room:
    """How many media processes are there, and how many of them take calls."""

    there: int
    taking: int

    @property
    def is_full(self) -> bool:
        """Whether none of the processes that are there takes calls; where none is known, none refuses."""
        return self.there > 0 and not self.taking


async def seq(tx: Tx, node: str) -> int:
    """The last batch of a media process that is stored."""
    return await tx.fetchval(SEQ, node) or 0


async def set_seq(tx: Tx, node: str, seq: int) -> None:
    await tx.execute(SET_SEQ, node, seq)


async def open(tx: Tx, node: str, link: UUID, refuses: str) -> None:
    """A media process has this link now, and its calls again; `refuses` says why it takes no calls, empty: it does."""
    await tx.execute(OPEN, node, link, refuses or None)
    await tx.execute(FOUND_AGAIN, node)
    await notify(tx, CHANNEL, node)


async def seen(tx: Tx, node: str, link: UUID, refuses: str, *, changed: bool) -> None:
    """A media process says that it lives, and whether it takes calls."""
    await tx.execute(SEEN, node, link, refuses or None)
    if changed:
        await notify(tx, CHANNEL, node)


async def close(tx: Tx, node: str, link: UUID) -> None:
    """This link is lost; nothing, when the process has another one by now."""
    await tx.execute(CLOSE, node, link)
    await notify(tx, CHANNEL, node)


async def is_there(tx: Tx, node: str, silent: timedelta) -> bool:
    """Tell whether a media process is there; one that said nothing for `silent` is not."""
    return bool(await tx.fetchval(IS_THERE, node, silent))


async def room(tx: Tx, silent: timedelta) -> Room:
    row = await tx.fetchrow(ROOM, silent)
    assert row is not None, "an aggregate has a row"
    return Room(**row)


async def forget(tx: Tx, keep: timedelta) -> None:
    """Drop the processes that were not seen for so long: each has a name of its own, so none of them comes back."""
    await tx.execute(FORGET, keep)
