"""Roll-ups of ended calls by quarter of an hour, and the figures computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from storage import events
from storage.db import Tx
from storage.interruptions import COUNT_OF_CALL
from storage.latencies import MEASURES

READER = "analytics"
BAND_RATIO = 1.1
MOST_TAGS = 100
#: Next to the statuses of calls.
TRANSFER_NOT_TAKEN = "transfer_not_taken"

# Deleted calls are kept here for a while, because their events may be read later.
TOUCHED = """
    SELECT org_id, hum.quarter(created_at) AS quarter_at FROM calls WHERE id = ANY ($1::uuid[])
    UNION SELECT org_id, hum.quarter(called_at) FROM erased_calls WHERE call_id = ANY ($1::uuid[])
"""
EVERYTHING = """
    SELECT org_id, hum.quarter(created_at) AS quarter_at FROM calls WHERE ended_at IS NOT NULL
    UNION SELECT org_id, quarter_at FROM erased_call_rollups
"""
QUARTERS = "unnest($1::uuid[], $2::timestamptz[]) AS q(org_id, quarter_at)"
ENDED_CALLS = f"""
    {QUARTERS} JOIN calls c
        ON c.org_id = q.org_id AND c.created_at >= q.quarter_at AND c.created_at < q.quarter_at + interval '15 minutes'
       AND c.ended_at IS NOT NULL
"""
DELETED_CALLS = "calls c WHERE c.id = ANY ($1::uuid[]) AND c.ended_at IS NOT NULL"
NO_FLOW = "'00000000-0000-0000-0000-000000000000'::uuid"
DELETE_CALL_ROLLUPS = (
    f"DELETE FROM call_rollups r USING {QUARTERS} WHERE (r.org_id, r.quarter_at) = (q.org_id, q.quarter_at)"
)
DELETE_LATENCY_ROLLUPS = (
    f"DELETE FROM latency_rollups r USING {QUARTERS} WHERE (r.org_id, r.quarter_at) = (q.org_id, q.quarter_at)"
)
# A call that its agent answered, and whose transfers nobody took, is counted apart from those that came to their end.
STATUS = f"""
    CASE WHEN c.status = 'completed' AND EXISTS (SELECT FROM transfers t WHERE t.call_id = c.id)
              AND NOT EXISTS (SELECT FROM transfers t WHERE t.call_id = c.id AND t.connected_at IS NOT NULL)
         THEN '{TRANSFER_NOT_TAKEN}' ELSE c.status END
"""
CALLS = f"""
    c.org_id, hum.quarter(c.created_at) AS quarter_at, coalesce(c.flow_id, {NO_FLOW}) AS flow_id, c.direction,
           {STATUS} AS status, coalesce(c.outcome_label, '') AS outcome, count(*) AS calls, count(c.answered_at) AS answered,
           coalesce(sum(extract(epoch FROM c.ended_at - c.answered_at)::bigint), 0) AS talk_seconds,
           sum({COUNT_OF_CALL}) AS interruptions
"""
MEASURED = f"""
    c.org_id, hum.quarter(c.created_at) AS quarter_at, coalesce(c.flow_id, {NO_FLOW}) AS flow_id, m.measure,
           floor(ln(greatest(m.ms, 1)) / ln({BAND_RATIO}))::integer AS band, count(*) AS turns
"""
# One row for each turn and measure of a call.
TURNS = f"""
      JOIN call_turn_latencies l ON l.call_id = c.id
     CROSS JOIN LATERAL (VALUES {", ".join(f"('{name}', l.{name})" for name in MEASURES)}) AS m (measure, ms)
"""
# One statement has one snapshot: a call is either stored or among the deleted ones.
COUNT_CALLS = f"""
    INSERT INTO call_rollups
    SELECT org_id, quarter_at, flow_id, direction, status, outcome, sum(calls), sum(answered), sum(talk_seconds),
           sum(interruptions)
      FROM (SELECT {CALLS} FROM {ENDED_CALLS} GROUP BY 1, 2, 3, 4, 5, 6
            UNION ALL SELECT e.* FROM {QUARTERS} JOIN erased_call_rollups e USING (org_id, quarter_at)) AS counted
     GROUP BY 1, 2, 3, 4, 5, 6
"""
COUNT_LATENCIES = f"""
    INSERT INTO latency_rollups
    SELECT org_id, quarter_at, flow_id, measure, band, sum(turns)
      FROM (SELECT {MEASURED} FROM {ENDED_CALLS} {TURNS} GROUP BY 1, 2, 3, 4, 5
            UNION ALL SELECT e.* FROM {QUARTERS} JOIN erased_latency_rollups e USING (org_id, quarter_at)) AS counted
     GROUP BY 1, 2, 3, 4, 5
"""
# Always in this order, so that two deletions don't deadlock.
RETAIN_CALLS = f"""
    INSERT INTO erased_call_rollups AS e
    SELECT {CALLS} FROM {DELETED_CALLS} GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, quarter_at, flow_id, direction, status, outcome) DO UPDATE
       SET calls = e.calls + excluded.calls, answered = e.answered + excluded.answered,
           talk_seconds = e.talk_seconds + excluded.talk_seconds, interruptions = e.interruptions + excluded.interruptions
"""
RETAIN_LATENCIES = f"""
    INSERT INTO erased_latency_rollups AS e
    SELECT {MEASURED} FROM (SELECT * FROM {DELETED_CALLS}) AS c {TURNS} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (org_id, quarter_at, flow_id, measure, band) DO UPDATE SET turns = e.turns + excluded.turns
"""
# What a limited member sees is counted from the calls: roll-ups know no numbers, and are hidden from them.  One of the two parts is empty,
# and is not executed.
SEEN_CALLS = f"""
    SELECT * FROM call_rollups r WHERE (SELECT hum.sees_everything()) AND r.quarter_at >= $1 AND r.quarter_at < $2
    UNION ALL
    SELECT {CALLS} FROM calls c
     WHERE NOT (SELECT hum.sees_everything()) AND c.ended_at IS NOT NULL AND c.created_at >= $1 AND c.created_at < $2
     GROUP BY 1, 2, 3, 4, 5, 6
"""
SEEN_LATENCIES = f"""
    SELECT * FROM latency_rollups r WHERE (SELECT hum.sees_everything()) AND r.quarter_at >= $1 AND r.quarter_at < $2
    UNION ALL
    SELECT {MEASURED} FROM calls c {TURNS}
     WHERE NOT (SELECT hum.sees_everything()) AND c.ended_at IS NOT NULL AND c.created_at >= $1 AND c.created_at < $2
     GROUP BY 1, 2, 3, 4, 5
"""
# $1 and $2: from and to; $3: the time zone of the days; $4: one flow, or null for all.
FIGURES = f"""
    SELECT grouping(day, hour, flow_id, outcome, status) AS kept, day, hour, flow_id, outcome, status,
           sum(calls)::bigint AS calls, coalesce(sum(calls) FILTER (WHERE direction = 'inbound'), 0)::bigint AS inbound,
           coalesce(sum(calls) FILTER (WHERE direction = 'outbound'), 0)::bigint AS outbound,
           sum(answered)::bigint AS answered, sum(talk_seconds)::bigint AS talk_seconds,
           sum(interruptions)::bigint AS interruptions
      FROM (SELECT *, (quarter_at AT TIME ZONE $3)::date AS day,
                   (extract(isodow FROM quarter_at AT TIME ZONE $3) - 1)::integer * 24
                   + extract(hour FROM quarter_at AT TIME ZONE $3)::integer AS hour
              FROM ({SEEN_CALLS}) AS seen
             WHERE $4::uuid IS NULL OR flow_id = $4) AS r
     GROUP BY GROUPING SETS ((day), (hour), (flow_id), (outcome), (status), ())
"""
LATENCIES = f"""
    SELECT day, measure, band, sum(turns)::bigint AS turns
      FROM (SELECT *, (quarter_at AT TIME ZONE $3)::date AS day FROM ({SEEN_LATENCIES}) AS seen
             WHERE $4::uuid IS NULL OR flow_id = $4) AS r
     GROUP BY GROUPING SETS ((day, measure, band), (measure, band))
     ORDER BY band
"""
# Tags change after a call: they are counted by themselves, so that calls without one cost nothing.  A tag has its call's time; said of
# both, neither's rows outside the span are read.
TAGS = f"""
    SELECT t.tag, count(*) AS calls, count(c.answered_at) AS answered,
           coalesce(sum(extract(epoch FROM c.ended_at - c.answered_at)::bigint), 0)::bigint AS talk_seconds
      FROM call_tags t JOIN calls c ON c.id = t.call_id
     WHERE c.ended_at IS NOT NULL AND t.called_at >= $1 AND t.called_at < $2 AND c.created_at >= $1 AND c.created_at < $2
       AND ($3::uuid IS NULL OR c.flow_id = $3)
     GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_TAGS}
"""
# A limited member has no list of contacts, and to count those of their calls and texts reads all of these.
NOW = """
    SELECT (SELECT count(*) FROM calls WHERE status IN ('ringing', 'in_progress')) AS live_calls,
           (SELECT count(*) FROM voicemails WHERE heard_at IS NULL AND deleted_at IS NULL) AS unheard_voicemails,
           (SELECT count(*) FROM call_tags WHERE tag = $1) AS untaken_transfers,
           (SELECT count(*) FROM numbers WHERE status = 'active') AS numbers,
           (SELECT count(*) FROM flows WHERE deleted_at IS NULL) AS flows,
           CASE WHEN (SELECT hum.sees_everything()) THEN (SELECT count(*) FROM contacts) ELSE 0 END AS contacts
"""


@dataclass(frozen=True, slots=True)
class AnalyticsSpan:
    """A window of time with days in a time zone, for one flow or all."""

    since: datetime
    until: datetime
    time_zone: str
    flow: UUID | None


@dataclass(frozen=True, slots=True)
class FiguresRow:
    calls: int = 0
    inbound: int = 0
    outbound: int = 0
    answered: int = 0
    talk_seconds: int = 0
    interruptions: int = 0


@dataclass(slots=True)
class GroupedFigures:
    """Figures of the same calls, grouped in several ways."""

    total: FiguresRow
    by_day: dict[date, FiguresRow]
    #: By the hour of the week: 0 is Monday's first.
    by_hour: dict[int, FiguresRow]
    by_flow: dict[UUID, FiguresRow]
    by_outcome: dict[str, FiguresRow]
    by_status: dict[str, FiguresRow]


@dataclass(frozen=True, slots=True)
class BandRow:
    """The number of turns with a latency in a band; `day` None: of the whole span."""

    day: date | None
    measure: str
    band: int
    turns: int


@dataclass(frozen=True, slots=True)
class CurrentCountsRow:
    live_calls: int
    unheard_voicemails: int
    untaken_transfers: int
    numbers: int
    flows: int
    contacts: int


async def recount(tx: Tx, calls: Sequence[UUID]) -> None:
    """Recount the quarters of an hour that contain these calls.  Runs as the system."""
    quarters = await tx.fetch(TOUCHED, calls)
    await _recount(tx, [row["org_id"] for row in quarters], [row["quarter_at"] for row in quarters])


async def recount_grown(tx: Tx, call: UUID) -> None:
    """Recount a call that grew without an event; idempotent.  Runs as the system."""
    # Two concurrent recounts of a quarter of an hour would conflict on its key.
    await events.lock_reader(tx, READER)
    await recount(tx, [call])


async def retain_counts(tx: Tx, calls: Sequence[UUID]) -> None:
    """Add calls to the counts of deleted calls, in the transaction that deletes them.  Runs as the tenant."""
    await tx.execute(RETAIN_CALLS, calls)
    await tx.execute(RETAIN_LATENCIES, calls)


async def rebuild(tx: Tx) -> int:
    """Recount everything; return how many quarters of an hour contain calls.  Runs as the system."""
    await events.lock_reader(tx, READER)
    await tx.execute("DELETE FROM call_rollups")
    await tx.execute("DELETE FROM latency_rollups")
    quarters = await tx.fetch(EVERYTHING)
    await _recount(tx, [row["org_id"] for row in quarters], [row["quarter_at"] for row in quarters])
    return len(quarters)


async def _recount(tx: Tx, orgs: Sequence[UUID], quarters: Sequence[datetime]) -> None:
    await tx.execute(DELETE_CALL_ROLLUPS, orgs, quarters)
    await tx.execute(DELETE_LATENCY_ROLLUPS, orgs, quarters)
    await tx.execute(COUNT_CALLS, orgs, quarters)
    await tx.execute(COUNT_LATENCIES, orgs, quarters)


async def figures(tx: Tx, span: AnalyticsSpan) -> GroupedFigures:
    """Return the figures of the tenant's calls in a span."""
    grouped = GroupedFigures(FiguresRow(), {}, {}, {}, {}, {})
    for row in await tx.fetch(FIGURES, span.since, span.until, span.time_zone, span.flow):
        row_figures = FiguresRow(*(row[name] or 0 for name in FiguresRow.__slots__))
        # A bit for each column that was aggregated away: day, hour, flow, outcome, status.
        match row["kept"]:
            case 0b01111:
                grouped.by_day[row["day"]] = row_figures
            case 0b10111:
                grouped.by_hour[row["hour"]] = row_figures
            case 0b11011:
                grouped.by_flow[row["flow_id"]] = row_figures
            case 0b11101:
                grouped.by_outcome[row["outcome"]] = row_figures
            case 0b11110:
                grouped.by_status[row["status"]] = row_figures
            case _:
                grouped.total = row_figures
    return grouped


async def tags(tx: Tx, span: AnalyticsSpan) -> dict[str, FiguresRow]:
    """Return the figures of a span's calls by tag, the most frequent ones."""
    rows = await tx.fetch(TAGS, span.since, span.until, span.flow)
    return {
        row["tag"]: FiguresRow(calls=row["calls"], answered=row["answered"], talk_seconds=row["talk_seconds"])
        for row in rows
    }


async def latencies(tx: Tx, span: AnalyticsSpan) -> list[BandRow]:
    """Return the latencies of turns in a span, as counts by band, shortest first; by day, and over all."""
    rows = await tx.fetch(LATENCIES, span.since, span.until, span.time_zone, span.flow)
    return [BandRow(**row) for row in rows]


async def current_counts(tx: Tx, untaken_tag: str) -> CurrentCountsRow:
    """Return the organization's counts at this moment; calls whose transfers nobody took have this tag."""
    row = await tx.fetchrow(NOW, untaken_tag)
    assert row is not None
    return CurrentCountsRow(**row)
