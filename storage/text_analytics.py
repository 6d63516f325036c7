"""The figures of texts, counted from the texts themselves.

Only those that were sent count, on the day on which they were written: an index has that time (`messages_age`).
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from storage.analytics import AnalyticsSpan
from storage.db import Tx

MOST_CAMPAIGNS = 100

COUNTS = """
    count(*) FILTER (WHERE direction = 'inbound') AS incoming,
    count(*) FILTER (WHERE direction = 'outbound') AS outgoing,
    count(*) FILTER (WHERE status = 'delivered') AS delivered,
    count(*) FILTER (WHERE status IN ('undelivered', 'failed')) AS failed,
    coalesce(sum(segments) FILTER (WHERE direction = 'inbound'), 0)::bigint AS incoming_segments,
    coalesce(sum(segments) FILTER (WHERE direction = 'outbound'), 0)::bigint AS outgoing_segments
"""
SENT = """
    messages WHERE created_at >= $1 AND created_at < $2
       AND status IN ('received', 'sent', 'delivered', 'undelivered', 'failed', 'unknown')
"""
# $1 and $2: from and to; $3: the time zone of the days.
FIGURES = f"""
    SELECT grouping(day, sent_by) AS kept, day, sent_by, {COUNTS}
      FROM (SELECT direction, status, segments, coalesce(sent_by, '') AS sent_by, (created_at AT TIME ZONE $3)::date AS day
              FROM {SENT}) AS m
     GROUP BY GROUPING SETS ((day), (sent_by), ())
"""
# A contact's conversations are counted, not their texts.
ANSWERED = f"""
    SELECT count(*) FILTER (WHERE human) AS people, count(*) FILTER (WHERE ai AND NOT human) AS agents,
           count(*) FILTER (WHERE api AND NOT ai AND NOT human) AS api,
           count(*) FILTER (WHERE NOT (api OR ai OR human)) AS nobody
      FROM (SELECT bool_or(direction = 'inbound') AS wrote, coalesce(bool_or(sent_by = 'human'), false) AS human,
                   coalesce(bool_or(sent_by = 'ai'), false) AS ai, coalesce(bool_or(sent_by = 'api'), false) AS api
              FROM {SENT} GROUP BY conversation_id) AS c
     WHERE wrote
"""
# One pass over the texts: a join of two of its parts would be planned for a few rows.  Opt-outs are found by their key.
CAMPAIGNS = f"""
    WITH reached AS MATERIALIZED (
        SELECT campaign_id, contact_e164, org_id, min(created_at) AS first_at, max(wrote_at) AS wrote_at, {COUNTS}
          FROM (SELECT campaign_id, conversation_id, contact_e164, org_id, created_at, direction, status, segments,
                       max(created_at) FILTER (WHERE direction = 'inbound') OVER (PARTITION BY conversation_id) AS wrote_at
                  FROM {SENT}) AS m
         WHERE campaign_id IS NOT NULL GROUP BY campaign_id, conversation_id, contact_e164, org_id
    )
    SELECT r.campaign_id AS id, c.name, sum(r.outgoing)::bigint AS outgoing, sum(r.delivered)::bigint AS delivered,
           sum(r.failed)::bigint AS failed, sum(r.outgoing_segments)::bigint AS outgoing_segments,
           count(*) FILTER (WHERE r.wrote_at > r.first_at) AS replies,
           count(*) FILTER (WHERE o.opted_out AND o.changed_at > r.first_at AND o.changed_at < $2) AS opt_outs
      FROM reached r
      JOIN campaigns c ON c.id = r.campaign_id
      LEFT JOIN opt_outs o ON o.org_id = r.org_id AND o.contact_e164 = r.contact_e164
     GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT {MOST_CAMPAIGNS}
"""


@dataclass(frozen=True, slots=True)
class TextFiguresRow:
    incoming: int = 0
    outgoing: int = 0
    delivered: int = 0
    failed: int = 0
    incoming_segments: int = 0
    outgoing_segments: int = 0


@dataclass(slots=True)
class GroupedTextFigures:
    """Figures of the same texts, grouped in several ways."""

    total: TextFiguresRow
    by_day: dict[date, TextFiguresRow]
    #: Of the outgoing.
    by_sender: dict[str, TextFiguresRow]


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """Numbers of conversations by who answered."""

    people: int
    agents: int
    api: int
    nobody: int


@dataclass(frozen=True, slots=True)
class CampaignFiguresRow:
    id: UUID
    name: str
    outgoing: int
    delivered: int
    failed: int
    outgoing_segments: int
    replies: int
    opt_outs: int


async def figures(tx: Tx, span: AnalyticsSpan) -> GroupedTextFigures:
    """Return the figures of the tenant's texts in a span."""
    grouped = GroupedTextFigures(TextFiguresRow(), {}, {})
    for row in await tx.fetch(FIGURES, span.since, span.until, span.time_zone):
        row_figures = TextFiguresRow(*(row[name] for name in TextFiguresRow.__slots__))
        # A bit for each column that was aggregated away: day, sender.
        match row["kept"]:
            case 0b01:
                grouped.by_day[row["day"]] = row_figures
            case 0b10 if row["sent_by"]:
                grouped.by_sender[row["sent_by"]] = row_figures
            case 0b11:
                grouped.total = row_figures
    return grouped


async def answered(tx: Tx, span: AnalyticsSpan) -> AnsweredRow:
    """Return how many conversations, in which a contact wrote in a span, were answered in it, by whom."""
    row = await tx.fetchrow(ANSWERED, span.since, span.until)
    assert row is not None
    return AnsweredRow(**row)


async def campaigns(tx: Tx, span: AnalyticsSpan) -> list[CampaignFiguresRow]:
    """Return the campaigns with the most texts in a span."""
    return [CampaignFiguresRow(**row) for row in await tx.fetch(CAMPAIGNS, span.since, span.until)]
