"""Usage: entries of what was used, and their sums by quarter of an hour.

The transaction that stores something with a cost also writes its usage entries.  The reader of the events (`control/usage`)
estimates their cost and adds to the roll-ups what these lack, so the roll-ups always equal a sum over the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from hum.v1 import events_pb2
from storage import events
from storage.db import Tx

READER = "usage"
NONE = UUID(int=0)
NO_ID = f"'{NONE}'::uuid"


def _entries(on_conflict: str, number: str = "$4") -> str:
    """Return the statement that writes entries; `on_conflict`: its update of existing ones; `number`: their number's id."""
    return f"""
    INSERT INTO usage_entries AS e (org_id, subject_id, flow_id, number_id, used_at, part, meter, item, quantity)
    SELECT $1, $2, $3, {number}, $5, u.* FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[]) AS u
    ON CONFLICT (org_id, subject_id, part, meter, item) DO UPDATE {on_conflict}
"""


# Adds to the quantity.
GROW = _entries("SET quantity = e.quantity + excluded.quantity")
# Replaces the quantity by a better one; owner and time stay.
BETTER = "SET quantity = excluded.quantity WHERE e.quantity <> excluded.quantity"
PUT = _entries(BETTER)
# With the number of the subject: of a call, or of a turn's conversation.
PUT_NUMBERED = _entries(
    BETTER,
    """
           coalesce((SELECT number_id FROM calls WHERE id = $2),
                    (SELECT c.number_id FROM text_runs r JOIN conversations c ON c.id = r.conversation_id WHERE r.id = $2), $4)
    """.strip(),
)
# Leaves existing entries as they are.
STORE_MISSING = _entries("SET quantity = e.quantity WHERE false")


def _put_texts(texts: str) -> str:
    """Return the statement that writes texts' entries: one message each, and what the carrier bills.

    Each text is one key lookup: the planner knows nothing of new tables, and would scan them.
    """
    return f"""
    INSERT INTO usage_entries AS e (org_id, subject_id, flow_id, number_id, used_at, part, meter, item, quantity)
    SELECT t.org_id, t.id, t.flow_id, t.number_id, $2, u.*
      FROM (SELECT m.org_id, m.id, coalesce(r.flow_id, c.flow_id, n.sms_flow_id, {NO_ID}) AS flow_id,
                   coalesce(c.number_id, {NO_ID}) AS number_id, g.part, g.country, g.segments,
                   EXISTS (SELECT FROM message_media f WHERE f.message_id = m.id) AS has_media
              FROM {texts} AS g (id, part, country, segments)
             CROSS JOIN LATERAL (SELECT org_id, id, run_id, conversation_id FROM messages WHERE id = g.id OFFSET 0) m
             CROSS JOIN LATERAL (SELECT flow_id, number_id FROM conversations WHERE id = m.conversation_id OFFSET 0) c
              LEFT JOIN numbers n ON n.id = c.number_id
              LEFT JOIN text_runs r ON r.id = m.run_id) AS t
     CROSS JOIN LATERAL (VALUES ('', $3, '', 1::bigint),
                                (t.part, CASE WHEN t.has_media THEN $5 ELSE $4 END, t.country,
                                 CASE WHEN t.has_media THEN 1 ELSE t.segments::bigint END)) AS u(part, meter, item, quantity)
     WHERE u.quantity > 0
     ORDER BY t.id
    ON CONFLICT (org_id, subject_id, part, meter, item) DO UPDATE
       SET quantity = excluded.quantity WHERE e.quantity <> excluded.quantity
"""


# A single text is the usual case, and its plan is cached; with arrays of one the planner would plan anew each time.
PUT_TEXT = _put_texts("(VALUES ($1::uuid, $6::text, $7::text, $8::int))")
PUT_TEXTS = _put_texts("unnest($1::uuid[], $6::text[], $7::text[], $8::int[])")
# Dates all usage of an ended call, including streams without a reported end.
FINALIZE = f"""
    UPDATE usage_entries e SET used_at = $2, flow_id = coalesce(c.flow_id, {NO_ID}), number_id = coalesce(c.number_id, {NO_ID})
      FROM calls c
     WHERE c.id = $1 AND e.org_id = c.org_id AND e.subject_id = c.id AND e.used_at IS NULL
"""
CALL = """
    SELECT c.origin = 'browser' AS is_browser, c.direction, c.from_e164, c.to_e164, c.flow_id, c.number_id, c.answered_at,
           c.answered_by IS NOT NULL AS judged,
           (SELECT min(s.opened_at) FROM call_streams s WHERE s.call_id = c.id) AS connected_at
      FROM calls c WHERE c.id = $1
"""
STREAMS = """
    SELECT s.number, s.opened_at,
           least($2, (SELECT min(n.opened_at) FROM call_streams n WHERE n.call_id = s.call_id AND n.number > s.number),
                     (SELECT min(t.started_at) FROM transfers t WHERE t.call_id = s.call_id AND t.started_at > s.opened_at)) AS closed_at
      FROM call_streams s WHERE s.call_id = $1
"""
STREAM_OPENED = "SELECT opened_at FROM call_streams WHERE call_id = $1 AND number = $2"
SET_PRICE = """
    UPDATE usage_entries SET price = $5, price_currency = $6
     WHERE org_id = $1 AND subject_id = $2 AND part = $3 AND meter = ANY ($4::text[])
       AND (price, price_currency) IS DISTINCT FROM ($5, $6)
    RETURNING subject_id
"""
# --- counting
KEY = "org_id, subject_id, part, meter, item"
OF_EVENTS = f"""
    SELECT {KEY}, flow_id, number_id, quantity, used_at, hum.quarter(used_at) AS quarter_at, price, price_currency,
           counted_quantity, counted_cost, counted_currency, counted_basis
      FROM usage_entries
     WHERE (org_id, subject_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND used_at IS NOT NULL
     ORDER BY {KEY}
       FOR NO KEY UPDATE
"""
SET_COUNTED = f"""
    UPDATE usage_entries e
       SET estimate = w.estimate, estimate_currency = w.estimate_currency,
           counted_quantity = w.quantity, counted_cost = w.cost, counted_currency = w.currency, counted_basis = w.basis
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[], $8::bigint[],
                  $9::numeric[], $10::text[], $11::text[])
           AS w({KEY}, estimate, estimate_currency, quantity, cost, currency, basis)
     WHERE (e.org_id, e.subject_id, e.part, e.meter, e.item) = (w.org_id, w.subject_id, w.part, w.meter, w.item)
"""
ROLL_UP = """
    INSERT INTO usage_rollups AS r (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency, quantity, cost)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::bigint[], $10::numeric[])
    ON CONFLICT (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency) DO UPDATE
       SET quantity = r.quantity + excluded.quantity, cost = r.cost + excluded.cost
"""
DROP_EMPTY = """
    DELETE FROM usage_rollups r USING unnest($1::uuid[], $2::timestamptz[]) AS q(org_id, quarter_at)
     WHERE (r.org_id, r.quarter_at) = (q.org_id, q.quarter_at) AND r.quantity = 0
"""
NEXT_ENTRIES = f"""
    SELECT {KEY}, flow_id, number_id, quantity, used_at, hum.quarter(used_at) AS quarter_at, price, price_currency,
           counted_quantity, counted_cost, counted_currency, counted_basis
      FROM usage_entries
     WHERE ({KEY}) > ($1::uuid, $2::uuid, $3::text, $4::text, $5::text)
     ORDER BY {KEY}
     LIMIT $6 FOR NO KEY UPDATE
"""
REBUILD = """
    INSERT INTO usage_rollups
    SELECT org_id, hum.quarter(used_at), flow_id, number_id, meter, item, counted_basis, counted_currency, sum(counted_quantity),
           sum(counted_cost)
      FROM usage_entries
     WHERE counted_quantity IS NOT NULL
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
NO_LIMIT = "SET LOCAL statement_timeout = 0"
# --- reading
COST = """
    coalesce(price, estimate, 0) AS cost, coalesce(CASE WHEN price IS NULL THEN estimate_currency ELSE price_currency END, '') AS currency,
    CASE WHEN price IS NOT NULL THEN 'carrier' WHEN estimate IS NOT NULL THEN 'estimate' ELSE 'none' END AS basis
"""
OF_SUBJECTS = f"""
    SELECT subject_id, meter, item, quantity, {COST} FROM usage_entries
     WHERE org_id = hum.org_id() AND subject_id = ANY ($1)
     ORDER BY subject_id, part, meter, item
"""


def _grouped(key: str) -> str:
    return f"""
    SELECT grouping({key}) = 1 AS is_total, {key} AS key, meter, item, sum(quantity)::bigint AS quantity, sum(cost) AS cost, currency,
           basis
      FROM (SELECT *, (quarter_at AT TIME ZONE $3)::date AS day FROM usage_rollups
             WHERE org_id = hum.org_id() AND quarter_at >= $1 AND quarter_at < $2) AS r
     GROUP BY GROUPING SETS (({key}, meter, item, currency, basis), (meter, item, currency, basis))
"""


# $1 and $2: from and to; $3: the time zone of the days.
BY_DAY, BY_FLOW, BY_NUMBER = _grouped("day"), _grouped("flow_id"), _grouped("number_id")
UNREAD_SINCE = "SELECT hum.unread_since($1)"


@dataclass(frozen=True, slots=True)
class Owner:
    """The subject of usage entries, and the flow and number that they are shown under."""

    org_id: UUID
    subject_id: UUID
    flow_id: UUID | None = None
    number_id: UUID | None = None


@dataclass(frozen=True, slots=True, order=True)
class Usage:
    """A quantity on a meter.  `part`: which part of the subject used it; empty: the subject itself."""

    part: str
    meter: str
    item: str
    quantity: int


@dataclass(frozen=True, slots=True)
class TextMeters:
    """The meters of texts in one direction."""

    messages: str
    segments: str
    with_media: str


@dataclass(frozen=True, slots=True)
class TextRow:
    """A text that the carrier has accepted or delivered to us; `part`: the attempt, if it was sent."""

    message_id: UUID
    part: str
    country: str
    segments: int


@dataclass(frozen=True, slots=True)
class CallUsageFacts:
    """Facts about a locked call.  `judged`: the carrier has reported who answered; `connected_at`: its first stream opened."""

    is_browser: bool
    direction: str
    from_e164: str
    to_e164: str
    flow_id: UUID | None
    number_id: UUID | None
    answered_at: datetime | None
    judged: bool
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class UsageEntryRow:
    """A locked entry to count, with what is counted of it so far (None: nothing)."""

    org_id: UUID
    subject_id: UUID
    part: str
    meter: str
    item: str
    flow_id: UUID
    number_id: UUID
    quantity: int
    #: None only in `next_entries`, while its call is live.
    used_at: datetime | None
    quarter_at: datetime | None
    price: Decimal | None
    price_currency: str | None
    counted_quantity: int | None
    counted_cost: Decimal | None
    counted_currency: str | None
    counted_basis: str | None

    @property
    def key(self) -> tuple[UUID, UUID, str, str, str]:
        return self.org_id, self.subject_id, self.part, self.meter, self.item

    @property
    def place(self) -> "RollUpPlace":
        assert self.quarter_at is not None
        return RollUpPlace(self.org_id, self.quarter_at, self.flow_id, self.number_id, self.meter, self.item)


@dataclass(frozen=True, slots=True)
class RollUpPlace:
    """The roll-up that an entry is counted in."""

    org_id: UUID
    quarter_at: datetime
    flow_id: UUID
    number_id: UUID
    meter: str
    item: str


@dataclass(frozen=True, slots=True)
class CountRow:
    """What is counted of an entry now."""

    key: tuple[UUID, UUID, str, str, str]
    estimate: Decimal | None
    estimate_currency: str | None
    quantity: int
    cost: Decimal
    currency: str
    basis: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """The quantity and cost of one meter and item; `basis`: `none`, `estimate`, `carrier`."""

    meter: str
    item: str
    quantity: int
    cost: Decimal
    currency: str
    basis: str


@dataclass(frozen=True, slots=True)
class GroupedLines:
    """The same lines summed in total, and by day, flow or number (all zeros: none)."""

    total: list[LineRow]
    groups: dict[date | UUID, list[LineRow]]


# --- entries ------------------------------------------------------------------------------------------------------


async def add(tx: Tx, owner: Owner, used: Iterable[Usage], at: datetime | None) -> None:
    """Add to entries.  `at`: when it was used; None: by a live call, at its end."""
    await _write(tx, GROW, owner, used, at)


async def upsert(tx: Tx, owner: Owner, used: Iterable[Usage], at: datetime | None) -> None:
    """Store entries, replacing existing quantities."""
    await _write(tx, PUT, owner, used, at)


async def upsert_numbered(tx: Tx, owner: Owner, used: Iterable[Usage], at: datetime) -> None:
    """Store entries, as `upsert` does, with the number of the call, or of the turn's conversation, looked up; it locks neither."""
    await _write(tx, PUT_NUMBERED, owner, used, at)


async def store_missing(tx: Tx, owner: Owner, used: Iterable[Usage], at: datetime | None) -> None:
    """Store entries, except where there are some already."""
    await _write(tx, STORE_MISSING, owner, used, at)


async def _write(tx: Tx, query: str, owner: Owner, used: Iterable[Usage], at: datetime | None) -> None:
    # All writers use one order, so that two don't deadlock.
    entries = sorted(entry for entry in used if entry.quantity > 0)
    if entries:
        subject = owner.org_id, owner.subject_id, owner.flow_id or NONE, owner.number_id or NONE, at
        await tx.execute(query, *subject, *map(list, zip(*(astuple(entry) for entry in entries), strict=True)))


async def upsert_texts(tx: Tx, texts: Sequence[TextRow], meters: TextMeters, at: datetime) -> None:
    """Store texts' entries: one message each, and what the carrier bills: segments, or one message with files."""
    rows = [astuple(text) for text in texts]
    query, (id, *facts) = (PUT_TEXT, rows[0]) if len(rows) == 1 else (PUT_TEXTS, zip(*rows, strict=True))
    await tx.execute(query, id, at, meters.messages, meters.segments, meters.with_media, *facts)


async def finalize(tx: Tx, call: UUID, at: datetime) -> None:
    """Date all usage of an ended call, and set its flow and number."""
    await tx.execute(FINALIZE, call, at)


async def call_facts(tx: Tx, id: UUID) -> CallUsageFacts:
    """Return the facts by which the carrier's part of a locked call is metered."""
    row = await tx.fetchrow(CALL, id)
    assert row is not None, "the call is locked"
    return CallUsageFacts(**row)


async def streams(tx: Tx, call: UUID, ended_at: datetime) -> dict[int, float]:
    """Return how many seconds each stream of an ended call can have lasted at most."""
    rows = await tx.fetch(STREAMS, call, ended_at)
    return {row["number"]: (row["closed_at"] - row["opened_at"]).total_seconds() for row in rows}


async def stream_opened_at(tx: Tx, call: UUID, number: int) -> datetime | None:
    opened: datetime | None = await tx.fetchval(STREAM_OPENED, call, number)
    return opened


async def set_price(tx: Tx, owner: Owner, part: str, meters: Sequence[str], price: Decimal, currency: str) -> bool:
    """Set the carrier's price of a part; return False if it is set already, or there is no such entry."""
    return bool(await tx.fetch(SET_PRICE, owner.org_id, owner.subject_id, part, meters, price, currency))


async def announce(tx: Tx, owner: Owner) -> None:
    """Append the event that has this transaction's entries counted, for subjects without another event."""
    await events.append(tx, owner.org_id, owner.subject_id, events_pb2.UsageRecordedEvent())


async def lines_of(tx: Tx, subjects: Sequence[UUID]) -> dict[UUID, list[LineRow]]:
    """Return what each of these has used so far.  Runs as the tenant."""
    lines: dict[UUID, list[LineRow]] = {}
    for row in await tx.fetch(OF_SUBJECTS, subjects):
        subject, *line = row.values()
        lines.setdefault(subject, []).append(LineRow(*line))
    return lines


async def grouped_lines(tx: Tx, query: str, since: datetime, until: datetime, time_zone: str) -> GroupedLines:
    """Return the tenant's usage in a span; `query`: `BY_DAY`, `BY_FLOW` or `BY_NUMBER`."""
    total: list[LineRow] = []
    groups: dict[date | UUID, list[LineRow]] = {}
    for row in await tx.fetch(query, since, until, time_zone):
        line = LineRow(*(row[name] for name in LineRow.__slots__))
        (total if row["is_total"] else groups.setdefault(row["key"], [])).append(line)
    return GroupedLines(total, groups)


async def unread_since(tx: Tx) -> datetime | None:
    """Return the time of the tenant's oldest event that is not counted yet, or None if all are."""
    since: datetime | None = await tx.fetchval(UNREAD_SINCE, READER)
    return since


# --- counting, as the system: one process at a time, with the reader's lock ---------------------------------------


async def of_events(tx: Tx, subjects: Sequence[tuple[UUID, UUID]]) -> list[UsageEntryRow]:
    """Lock and return the entries to count of these subjects (organization, id)."""
    orgs, ids = [org for org, _ in subjects], [id for _, id in subjects]
    return [UsageEntryRow(**row) for row in await tx.fetch(OF_EVENTS, orgs, ids)]


async def next_entries(tx: Tx, after: UsageEntryRow | None, limit: int) -> list[UsageEntryRow]:
    """Lock and return all entries, page by page."""
    after_key = after.key if after else (NONE, NONE, "", "", "")
    return [UsageEntryRow(**row) for row in await tx.fetch(NEXT_ENTRIES, *after_key, limit)]


async def set_counted(tx: Tx, rows: Sequence[CountRow]) -> None:
    if rows:
        values = [(*row.key, *astuple(row)[1:]) for row in rows]
        await tx.execute(SET_COUNTED, *map(list, zip(*values, strict=True)))


async def roll_up(tx: Tx, changes: Mapping[tuple[RollUpPlace, str, str], tuple[int, Decimal]]) -> None:
    """Add to roll-ups, each of a place, a basis and a currency."""
    if changes:
        values = [(*astuple(place), basis, currency, *amounts) for (place, basis, currency), amounts in changes.items()]
        await tx.execute(ROLL_UP, *map(list, zip(*values, strict=True)))
        await tx.execute(DROP_EMPTY, [value[0] for value in values], [value[1] for value in values])


async def rebuild(tx: Tx) -> None:
    """Rebuild the roll-ups from what is counted of the entries."""
    await tx.execute("DELETE FROM usage_rollups")
    await tx.execute(REBUILD)


async def unlimited(tx: Tx) -> None:
    """Lift the transaction's statement timeout, for a pass over all entries."""
    await tx.execute(NO_LIMIT)
