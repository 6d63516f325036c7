"""Orphaned calls: live at the carrier, but on no media process."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

# The call's media process is gone, or there never was one, or it can't have the call: a stream reports at once that it has
# started, which makes its call `in_progress`.  An outbound call that was not answered belongs to its attempt
# (`storage.outbound`).
CLAIM = """
    UPDATE calls SET lost_at = coalesce(lost_at, now()), looked_at = now()
     WHERE id IN (SELECT c.id
                    FROM calls c
                   LEFT JOIN media_links m ON m.node = c.node
                   LEFT JOIN transfers t ON t.call_id = c.id AND t.ended_at IS NULL
                   WHERE c.status IN ('ringing', 'in_progress') AND c.carrier_ended_at IS NULL
                    AND (c.direction = 'inbound' OR c.streams_opened > 0)
                    AND (c.origin = 'phone' OR coalesce(c.token_expires_at, c.created_at) < now())
                     AND c.created_at < now() - $1::interval
                     AND (c.looked_at IS NULL OR c.looked_at < now() - $2::interval * CASE WHEN t.id IS NULL THEN 1 ELSE $4 END)
                     AND (m.link IS NULL OR m.seen_at < now() - $1::interval
                          OR (c.status = 'ringing' AND c.streams_opened > 0 OR c.answered_at < now() - $5::interval)
                             AND EXISTS (SELECT FROM call_streams s
                                          WHERE s.call_id = c.id AND s.number = c.streams_opened
                                            AND s.opened_at < now() - CASE c.status WHEN 'ringing' THEN $3 ELSE $5 END))
                   ORDER BY c.looked_at NULLS FIRST
                   LIMIT 1000 FOR UPDATE OF c SKIP LOCKED)
    RETURNING id, call_sid, carrier_account, streams_opened, created_at,
              lost_at < now() - $3::interval AND coalesce(token_expires_at < now(), true) AS is_long_lost,
              EXISTS (SELECT FROM transfers t WHERE t.call_id = calls.id AND t.ended_at IS NULL) AS is_dialled,
              status,
              (SELECT CASE WHEN m.link IS NULL OR m.seen_at < now() - $1::interval THEN m.seen_at
                           ELSE coalesce((SELECT e.created_at FROM call_events e WHERE e.call_id = calls.id ORDER BY e.seq DESC LIMIT 1),
                                         calls.answered_at, calls.created_at) END
                 FROM media_links m WHERE m.node = calls.node) AS seen_at
"""


@dataclass(frozen=True, slots=True)
class OrphanedCallRow:
    """An orphaned call."""

    id: UUID
    call_sid: str | None
    carrier_account: str
    streams_opened: int
    created_at: datetime
    is_long_lost: bool
    #: Only the carrier has it: it is connected to a person, or a telephone rings.
    is_dialled: bool
    #: As it was claimed.
    status: str
    #: Last heartbeat of the media process that had it; if that is alive, the last event of the call.
    seen_at: datetime | None


async def claim(
    tx: Tx, silent: timedelta, between: timedelta, long: timedelta, dialled: int, longest: timedelta
) -> list[OrphanedCallRow]:
    """Claim the orphaned calls, to ask the carrier about them.  Runs as the system.

    A media process without a heartbeat for `silent` has no calls.  A call is claimed again after `between`; it is long lost after
    `long`, unless its stream may still open.  A call in a dial reports nothing until the dial is over: it is claimed `dialled`
    times more rarely.  A process that is alive has no call whose stream is open for `long` and has not started, and none whose
    stream is open for `longest`.
    """
    return [OrphanedCallRow(**row) for row in await tx.fetch(CLAIM, silent, between, long, dialled, longest)]
