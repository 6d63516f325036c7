"""Places at the media processes: how many each has, those in use, and offers to calls that ask.  Runs as the system.

`lock` serializes the transactions that grant places.  Places in use are counted, not stored: a call uses a place from the
offer of a stream until its token expires or its stream is over, whatever else happens to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from storage.db import Tx

#: A process that is silent for so many intervals of its heartbeats, having missed two in a row, accepts no calls, although
#: it may still be alive.
UNAVAILABLE_AFTER_BEATS: Final = 2.5

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('media places', 0))"
NODES = f"""
    SELECT node, url, places, zone, coalesce(doubted_at >= seen_at, false) AS is_doubted,
           refuses IS NULL
               AND seen_at > statement_timestamp() - least($1::interval, beat * {UNAVAILABLE_AFTER_BEATS}) AS accepts_calls
      FROM media_links
     WHERE link IS NOT NULL AND seen_at > statement_timestamp() - $1::interval AND 'phone' = ANY (media_links.takes)
"""
LOCK_CALLS = """
    SELECT id, org_id, CASE direction WHEN 'inbound' THEN from_e164 ELSE 'ours' END AS from_e164, streams_offered,
           CASE WHEN token_hash IS NOT NULL THEN media_url END AS not_opened_at
      FROM calls
     WHERE id = ANY ($1::uuid[]) AND status IN ('queued', 'ringing', 'in_progress')
       FOR NO KEY UPDATE SKIP LOCKED
"""
# A process with a locked row is just recording a heartbeat: it is alive.
DOUBT = """
    UPDATE media_links SET doubted_at = statement_timestamp()
     WHERE node IN (SELECT node FROM media_links WHERE url = ANY ($1::text[]) AND link IS NOT NULL
                       FOR NO KEY UPDATE SKIP LOCKED)
"""
# By the process that has the stream, or before that by the URL at which the stream was offered.
IN_USE = """
    SELECT CASE WHEN token_hash IS NULL THEN node END AS node, CASE WHEN token_hash IS NOT NULL THEN media_url END AS url,
           count(*) AS calls
      FROM calls
     WHERE status IN ('ringing', 'in_progress') AND id <> ALL ($1::uuid[])
       AND CASE WHEN token_hash IS NULL THEN streams_opened > 0 AND carrier_ended_at IS NULL
                ELSE token_expires_at > statement_timestamp() END
     GROUP BY 1, 2
"""
# An orphaned call uses no capacity while the carrier is asked about it.
LIVE_CALLS = """
    SELECT org_id, from_e164, count(*) AS calls FROM calls
     WHERE org_id = ANY ($1::uuid[]) AND status IN ('ringing', 'in_progress') AND streams_offered > 0 AND lost_at IS NULL
     GROUP BY 1, 2
"""
OFFER = """
    UPDATE calls c
       SET token_hash = o.hash, token_expires_at = clock_timestamp() + make_interval(secs => $5),
           offered_at = clock_timestamp() - make_interval(secs => o.late), media_url = o.url, streams_offered = o.offered
      FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::integer[], $6::float8[]) AS o (id, hash, url, offered, late)
     WHERE c.id = o.id
"""


@dataclass(frozen=True, slots=True)
class MediaNodeRow:
    """A media process that is alive."""

    node: str
    url: str
    places: int | None
    zone: str
    #: A stream did not open there, and no heartbeat has arrived since.
    is_doubted: bool
    accepts_calls: bool


@dataclass(frozen=True, slots=True)
class UnplacedCallRow:
    """A call that asks for a place; its row is locked."""

    id: UUID
    org_id: UUID
    from_e164: str
    streams_offered: int
    #: URL of an offered stream that has not opened yet.
    not_opened_at: str | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The number of calls that a process has, or that are on their way to a URL."""

    node: str | None
    url: str | None
    calls: int


@dataclass(frozen=True, slots=True)
class LiveCallsRow:
    """The number of an organization's calls from one number."""

    org_id: UUID
    from_e164: str
    calls: int


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A stream that is offered to a call."""

    id: UUID
    token_hash: bytes
    url: str
    offered: int
    #: How long the gateway has had no patience: it may have apologized since then, and this offer does not undo that.
    late_seconds: float = 0.0


async def lock(tx: Tx) -> None:
    """Lock the places until this transaction ends."""
    await tx.execute(LOCK)


async def nodes(tx: Tx, silent: timedelta) -> list[MediaNodeRow]:
    """Return the media processes that are alive; one without a heartbeat for `silent` is not."""
    return [MediaNodeRow(**row) for row in await tx.fetch(NODES, silent)]


async def lock_calls(tx: Tx, ids: Sequence[UUID]) -> list[UnplacedCallRow]:
    """Lock and return those of these calls that are live, without calls locked elsewhere."""
    return [UnplacedCallRow(**row) for row in await tx.fetch(LOCK_CALLS, list(ids))]


async def doubt(tx: Tx, urls: Sequence[str]) -> None:
    """Mark processes as doubted after a stream did not open at their URL: others go first until their next heartbeat."""
    await tx.execute(DOUBT, list(urls))


async def in_use(tx: Tx, but: Sequence[UUID]) -> list[UsageRow]:
    """Return the places in use, not counting these calls."""
    return [UsageRow(**row) for row in await tx.fetch(IN_USE, list(but))]


async def live_calls(tx: Tx, orgs: Sequence[UUID]) -> list[LiveCallsRow]:
    """Return the number of live calls of these organizations that were offered a stream, by caller."""
    return [LiveCallsRow(**row) for row in await tx.fetch(LIVE_CALLS, list(orgs))]


async def offer(tx: Tx, offers: Sequence[OfferRow], seconds: float) -> None:
    """Offer streams to calls: a stream that presents a call's token within `seconds` is this call's; earlier tokens are void."""
    columns = zip(*((row.id, row.token_hash, row.url, row.offered) for row in offers), strict=True)
    await tx.execute(OFFER, *map(list, columns), seconds, [row.late_seconds for row in offers])
