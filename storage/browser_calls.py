"""Calls from browsers, until their media process has them; from then on they are like other calls (`storage.calls`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.billing import lock_organization
from storage.db import Tx, notify

#: Notified with a call's id when its media process has replied.
CHANNEL = "hum_browser_calls"

NODE = """
    SELECT m.node, m.refuses
      FROM media_links m
     WHERE m.link IS NOT NULL AND m.seen_at > now() - $1::interval AND 'browser' = ANY (m.takes)
     ORDER BY m.refuses IS NOT NULL, $2 <> '' AND m.zone <> $2,
              (SELECT count(*) FROM browser_calls b JOIN calls c ON c.id = b.call_id
                WHERE b.node = m.node AND c.status IN ('queued', 'ringing', 'in_progress')), random()
     LIMIT 1
"""
# Calls that are connected count at the process that has them, the others at the one that got their offer.
PLACES_LEFT = """
    WITH browsers AS (
        SELECT node, places FROM media_links
         WHERE link IS NOT NULL AND seen_at > now() - $1::interval AND 'browser' = ANY (takes))
    SELECT sum(places) - (SELECT count(*) FROM calls c LEFT JOIN browser_calls b ON b.call_id = c.id
                           WHERE c.status IN ('ringing', 'in_progress') AND c.org_id <> $2
                             AND coalesce(c.node, b.node) IN (SELECT node FROM browsers))
      FROM browsers
    HAVING bool_and(places IS NOT NULL) AND EXISTS (SELECT FROM organizations WHERE org_id <> $2)
"""
LIVE = """
    SELECT count(*) AS calls, count(b.call_id) AS of_browsers, count(*) FILTER (WHERE b.caller = $1) AS of_caller
      FROM calls c LEFT JOIN browser_calls b ON b.call_id = c.id
     WHERE c.status IN ('ringing', 'in_progress')
"""
CREATE = """
    INSERT INTO calls (id, org_id, direction, origin, status, from_e164, to_e164, flow_id, flow_version)
    VALUES ($1, $2, 'inbound', 'browser', 'ringing', 'browser', '', $3, $4)
"""
ADD = "INSERT INTO browser_calls (org_id, call_id, caller, node, offer) VALUES ($1, $2, $3, $4, $5)"
CLAIM_OFFER = """
    WITH taken AS (SELECT call_id, org_id, offer FROM browser_calls
                    WHERE call_id = $1 AND node = $2 AND offer IS NOT NULL FOR NO KEY UPDATE),
         emptied AS (UPDATE browser_calls b SET offer = NULL FROM taken WHERE b.call_id = taken.call_id)
    SELECT org_id, offer AS sdp FROM taken
"""
OFFER_TOKEN = """
    UPDATE calls
       SET token_hash = $2, token_expires_at = now() + make_interval(secs => $3), offered_at = now(),
           streams_offered = streams_offered + 1
     WHERE id = $1
"""
REPLY = """
    UPDATE browser_calls SET offer = NULL, answer = $3, refusal = $4, detail = $5
     WHERE call_id = $1 AND node = $2 AND refusal IS NULL
    RETURNING call_id
"""
RESULT = "SELECT answer, refusal, detail FROM browser_calls WHERE call_id = $1"
CLEAR = "UPDATE browser_calls SET offer = NULL, answer = NULL WHERE call_id = $1"
LIVE_CALLERS = """
    SELECT c.id AS call_id, c.org_id, b.caller
      FROM calls c JOIN browser_calls b ON b.call_id = c.id
     WHERE c.status IN ('ringing', 'in_progress') AND c.origin = 'browser'
"""
# As `hum.begin_as` admits credentials: a key has at most its creator's present role, and ends with the membership.
PERMITTED = """
    SELECT k.org_id, k.id
      FROM api_keys k LEFT JOIN memberships m ON m.org_id = k.org_id AND m.user_id = k.made_by
     WHERE k.id = ANY ($1) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
       AND (k.made_by IS NULL OR m.user_id IS NOT NULL) AND 'viewer' NOT IN (k.role, coalesce(m.role, k.role))
    UNION ALL
    SELECT m.org_id, m.user_id
      FROM memberships m
     WHERE m.user_id = ANY ($1) AND m.role <> 'viewer'
       AND EXISTS (SELECT FROM sessions s
                    WHERE s.user_id = m.user_id AND s.expires_at > now() AND s.last_seen_at > now() - s.idle)
"""


@dataclass(frozen=True, slots=True)
class CallerRow:
    """A live call and the actor who placed it."""

    call_id: UUID
    org_id: UUID
    caller: str


@dataclass(frozen=True, slots=True)
class BrowserNodeRow:
    """The media process that accepts browser calls and has the fewest; `refuses`: why it accepts no more, if none does."""

    node: str
    refuses: str | None


@dataclass(frozen=True, slots=True)
class LiveRow:
    """An organization's live calls; those of them from browsers, and of these the ones of one caller."""

    calls: int
    of_browsers: int
    of_caller: int


@dataclass(frozen=True, slots=True)
class BrowserOfferRow:
    """A browser's SDP offer, and the organization whose call it is."""

    org_id: UUID
    sdp: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A media process's reply; all None: none yet."""

    answer: str | None
    refusal: str | None
    detail: str | None


async def node(tx: Tx, silent: timedelta, zone: str) -> BrowserNodeRow | None:
    """Return the media process for a new call, one of this zone first; one without a heartbeat for `silent` is not alive.

    Runs as the system.
    """
    row = await tx.fetchrow(NODE, silent, zone)
    return BrowserNodeRow(**row) if row else None


async def places_left(tx: Tx, silent: timedelta, org: UUID) -> int | None:
    """Return how many places for calls from browsers the other organizations have left; None if there are none, or unknown.

    Runs as the system.
    """
    places: int | None = await tx.fetchval(PLACES_LEFT, silent, org)
    return places


async def live(tx: Tx, org: UUID, caller: str) -> LiveRow:
    """Lock the organization; return its live calls, and those of this browser's user."""
    await lock_organization(tx, org)
    row = await tx.fetchrow(LIVE, caller)
    assert row is not None, "an aggregate has a row"
    return LiveRow(**row)


async def create(
    tx: Tx, id: UUID, org: UUID, caller: str, flow: UUID, flow_version: int, node: str, offer: str
) -> None:
    """Store a new call, which rings, and the offer for its media process."""
    await tx.execute(CREATE, id, org, flow, flow_version)
    await tx.execute(ADD, org, id, caller, node, offer)


async def claim(tx: Tx, id: UUID, node: str) -> BrowserOfferRow | None:
    """Remove and return the offer for this media process.  Runs as the system."""
    row = await tx.fetchrow(CLAIM_OFFER, id, node)
    return BrowserOfferRow(**row) if row else None


async def offer_token(tx: Tx, id: UUID, hash: bytes, seconds: int) -> None:
    """Store the token of the stream of a locked call, valid for `seconds`.  Runs as the system."""
    await tx.execute(OFFER_TOKEN, id, hash, seconds)


async def reply(tx: Tx, id: UUID, node: str, result: ResultRow) -> bool:
    """Store a media process's reply; return False if the call is not its own, or has failed already.  Runs as the system."""
    if await tx.fetchval(REPLY, id, node, result.answer, result.refusal, result.detail) is None:
        return False
    await notify(tx, CHANNEL, str(id))
    return True


async def result(tx: Tx, id: UUID) -> ResultRow:
    row = await tx.fetchrow(RESULT, id)
    return ResultRow(**row) if row else ResultRow(None, None, None)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete offer and answer, which were delivered or are no longer needed."""
    await tx.execute(CLEAR, id)


async def live_callers(tx: Tx) -> list[CallerRow]:
    """Return the live calls from browsers, with their callers.  Runs as the system."""
    return [CallerRow(**row) for row in await tx.fetch(LIVE_CALLERS)]


async def permitted(tx: Tx, callers: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Return the organizations in which these keys and people may place calls now, as (organization, caller).

    A person must be signed in somewhere.  Runs as the system.
    """
    return {(row["org_id"], row["id"]) for row in await tx.fetch(PERMITTED, callers)}
