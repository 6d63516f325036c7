"""Inbound texts: the number's organization, whether a text was received before, and how often the rules answered lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from storage.db import Tx


def _route(to: str, sender: str, account: str, sid: str) -> str:
    return f"""
    SELECT n.id AS number_id, n.org_id, n.status = 'active' AND n.sms_enabled AS answers, o.name AS organization,
           o.keyword_replies, o.keyword_texts_json,
           EXISTS (SELECT FROM blocklist b WHERE b.org_id = n.org_id AND b.phone_e164 = {sender}) AS blocked,
           coalesce(x.opted_out, false) AS opted_out, n.sms_flow_id IS NOT NULL AS has_flow,
           k.id AS contact_id, k.looked_up_at, k.untextable_code IS NOT NULL AS untextable,
           coalesce((SELECT d.count FROM lookup_days d WHERE d.org_id = n.org_id AND d.day = current_date), 0) AS lookups,
           EXISTS (SELECT FROM messages m WHERE m.carrier_sid = {sid} AND m.direction = 'inbound') AS known
      FROM numbers n
      JOIN organizations o ON o.org_id = n.org_id
      LEFT JOIN opt_outs x ON x.org_id = n.org_id AND x.contact_e164 = {sender}
      LEFT JOIN contacts k ON k.org_id = n.org_id AND k.phone_e164 = {sender}
     WHERE n.e164 = {to} AND (n.account_sid IS NULL OR n.account_sid = {account})
"""


ROUTE = _route("$1", "$2", "$3", "$4")
# One key lookup for each text: the planner knows nothing of new tables, and would scan them.
ROUTES = f"""
    SELECT each.place, r.*
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS each (to_e164, sender, account, sid, place)
     CROSS JOIN LATERAL ({_route("each.to_e164", "each.sender", "each.account", "each.sid")} OFFSET 0) r
"""
REPLIES_SINCE = """
    SELECT count(*) FROM messages WHERE conversation_id = $1 AND sent_by = 'system' AND id > $2
"""


@dataclass(frozen=True, slots=True)
class TextRouteRow:
    """The number that a text arrived at, and what its organization knows of the sender."""

    number_id: UUID
    org_id: UUID
    #: The number is the organization's, and its texts are enabled.
    answers: bool
    organization: str
    #: Who answers keywords: `carrier` or `hum`.
    keyword_replies: str
    #: The organization's own answers to keywords; None: HUM's default texts.
    keyword_texts_json: str | None
    blocked: bool
    opted_out: bool
    #: The number has a flow for texts; a conversation may have another.
    has_flow: bool
    #: The contact, and when it was looked up; None: there is no contact, or no look-up.
    contact_id: UUID | None
    looked_up_at: datetime | None
    #: The carrier reported that the contact can't be texted.
    untextable: bool
    #: The organization's look-ups of senders today.
    lookups: int
    #: The text was received before.
    known: bool


async def route(tx: Tx, to_e164: str, from_e164: str, account_sid: str, carrier_sid: str) -> TextRouteRow | None:
    """Return a text's route; None if no organization has the number at this carrier account.  Runs as the system."""
    row = await tx.fetchrow(ROUTE, to_e164, from_e164, account_sid, carrier_sid)
    return TextRouteRow(**row) if row else None


async def routes(tx: Tx, texts: Sequence[tuple[str, str, str, str]]) -> dict[int, TextRouteRow]:
    """Return the routes of several texts (to, from, account, SID) by index, as `route` does, without unroutable ones."""
    by_index = dict[int, TextRouteRow]()
    for row in await tx.fetch(ROUTES, *map(list, zip(*texts, strict=True))):
        fields = dict(row)
        index = fields.pop("place") - 1
        by_index[index] = TextRouteRow(**fields)
    return by_index


async def replies_since(tx: Tx, conversation: UUID, since: datetime) -> int:
    """Return how many automatic answers of the rules were stored in a conversation since then."""
    count: int = await tx.fetchval(REPLIES_SINCE, conversation, ids.lowest_at(since))
    return count
