"""Forecasts of a campaign's launch: counts by the database, and a bounded number of its texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx
from storage.recipients import DueRecipientRow

FROM = """
      FROM campaign_recipients r
      LEFT JOIN contacts k ON k.org_id = r.org_id AND k.phone_e164 = r.contact_e164
      LEFT JOIN opt_outs x ON x.org_id = r.org_id AND x.contact_e164 = r.contact_e164
      LEFT JOIN blocklist b ON b.org_id = r.org_id AND b.phone_e164 = r.contact_e164
      LEFT JOIN (SELECT DISTINCT org_id, e164 FROM numbers) own ON own.org_id = r.org_id AND own.e164 = r.contact_e164
     WHERE r.campaign_id = $1
"""
ELIGIBLE = "r.status = 'pending' AND NOT coalesce(x.opted_out, false) AND b.phone_e164 IS NULL"
# The prefix tells time zone and country: in North America the area code, elsewhere the country and a digit or two.
AREA = "left(r.contact_e164, 5)"
REACHABLE = f"""
    (k.untextable_code IS NULL AND own.e164 IS NULL AND {AREA} <> ALL ($2::text[])
     AND ({AREA} <> ALL ($3::text[])
          OR EXISTS (SELECT FROM conversations c WHERE c.org_id = r.org_id AND c.contact_e164 = r.contact_e164)))
"""
TEXTED = f"{ELIGIBLE} AND {REACHABLE}"
COUNTS = f"""
    SELECT count(*) FILTER (WHERE {TEXTED}) AS texted,
           count(*) FILTER (WHERE {TEXTED} AND r.body IS NULL) AS templated,
           count(*) FILTER (WHERE r.status = 'opted_out' OR r.status = 'pending' AND x.opted_out) AS opted_out,
           count(*) FILTER (WHERE r.status = 'pending' AND NOT coalesce(x.opted_out, false) AND b.phone_e164 IS NOT NULL) AS blocked,
           count(*) FILTER (WHERE r.status = 'skipped' AND r.reason = 'invalid_number') AS invalid,
           count(*) FILTER (WHERE {ELIGIBLE} AND NOT {REACHABLE}) AS unreachable,
           count(*) FILTER (WHERE {TEXTED} AND k.line_type = 'landline') AS landlines
    {FROM}
"""
AREAS = f"""
    SELECT min(r.contact_e164) AS example, count(*) AS count
    {FROM} AND {TEXTED}
     GROUP BY {AREA}
     ORDER BY count(*) DESC
     LIMIT $4
"""
TEXTS = f"""
    SELECT r.id, r.contact_e164, r.body, r.variables, k.id AS contact_id, k.name AS contact_name, k.company AS contact_company,
           k.email AS contact_email, false AS untextable, false AS opted_out, false AS blocked, false AS own, true AS known
    {FROM} AND {TEXTED} AND (NOT $5 OR r.body IS NOT NULL)
     ORDER BY r.position
     LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Number prefixes that are not texted: `always`, or for `strangers`, contacts without a conversation."""

    always: Sequence[str] = ()
    strangers: Sequence[str] = ()

    @staticmethod
    def area(e164: str) -> str:
        """Return the prefix of a number's area."""
        return e164[:5]


@dataclass(frozen=True, slots=True)
class CountsRow:
    texted: int
    #: Those that get the campaign's text, without one of their own.
    templated: int
    opted_out: int
    blocked: int
    invalid: int
    unreachable: int
    landlines: int


@dataclass(frozen=True, slots=True)
class Area:
    """Recipients with the same number prefix."""

    example: str
    count: int


async def counts(tx: Tx, campaign: UUID, left_out: Exclusions) -> CountsRow:
    row = await tx.fetchrow(COUNTS, campaign, left_out.always, left_out.strangers)
    assert row is not None, "an aggregate has a row"
    return CountsRow(**row)


async def areas(tx: Tx, campaign: UUID, limit: int, left_out: Exclusions) -> list[Area]:
    """Return the recipients that would be texted, by area; the largest areas first."""
    return [Area(**row) for row in await tx.fetch(AREAS, campaign, left_out.always, left_out.strangers, limit)]


async def texts(
    tx: Tx, campaign: UUID, limit: int, left_out: Exclusions, *, own_only: bool
) -> Sequence[DueRecipientRow]:
    """Return the first recipients that would be texted; `own_only`: only those with a text of their own."""
    rows = await tx.fetch(TEXTS, campaign, left_out.always, left_out.strangers, limit, own_only)
    return [DueRecipientRow(**{**row, "variables": json.loads(row["variables"] or "{}")}) for row in rows]
