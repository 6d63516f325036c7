"""Figures of texts: equal to a recount of the same rows, in the days of a time zone, and of what a member sees."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from hum import ids
from hum.contract.principal import Limits
from storage import text_analytics
from storage.analytics import AnalyticsSpan
from storage.db import LIMITS, Db, Tx
from storage.text_analytics import AnsweredRow
from tests.storage.conftest import Two

ZONE = "America/New_York"
#: Over the change to daylight saving time.
SINCE, UNTIL = datetime(2026, 3, 6, 5, tzinfo=UTC), datetime(2026, 3, 10, 4, tzinfo=UTC)
SPAN = AnalyticsSpan(SINCE, UNTIL, ZONE, None)
OUTGOING = ("sent", "delivered", "undelivered", "failed", "unknown")
NEVER_SENT = ("scheduled", "queued", "canceled", "expired", "opted_out")
ADD_NUMBER = (
    "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, $3, 'PN' || $3, '{sms}')"
)
ADD_THREAD = "INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id) VALUES ($1, $2, $3, $4, $5)"
ADD_TEXT = """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, sent_by,
                          campaign_id, carrier_sid, created_at)
    SELECT $1, org_id, id, $3, number_e164, contact_e164, 'x', $4, $5, $6, $7, gen_random_uuid()::text, $8 FROM conversations WHERE id = $2
"""


@dataclass(frozen=True)
class Text:
    thread: UUID
    status: str
    segments: int
    sent_by: str | None
    campaign: UUID | None
    at: datetime


@dataclass
class Desk:
    """Texts of two numbers, a campaign among them."""

    db: Db
    numbers: list[UUID]
    threads: dict[UUID, UUID]
    campaign: UUID
    texts: list[Text]

    def of(self, *numbers: UUID) -> list[Text]:
        """Return those in the span that were sent, at these numbers."""
        return [
            text
            for text in self.texts
            if SINCE <= text.at < UNTIL and text.status not in NEVER_SENT and self.threads[text.thread] in numbers
        ]


def drawn(chance: random.Random, thread: UUID, campaign: UUID) -> Text:
    at = SINCE - timedelta(days=1) + (UNTIL - SINCE + timedelta(days=2)) * chance.random()
    if chance.random() < 0.4:
        return Text(thread, "received", chance.randint(1, 3), None, None, at)
    sent_by = chance.choice(("human", "api", "ai", "campaign", "system"))
    status = chance.choice(OUTGOING + NEVER_SENT)
    return Text(thread, status, chance.randint(1, 3), sent_by, campaign if sent_by == "campaign" else None, at)


@pytest.fixture
async def desk(two: Two) -> Desk:
    chance, campaign = random.Random(11), ids.new()
    made = Desk(two.db, [ids.new(), ids.new()], {}, campaign, [])
    async with two.db.tenant(two.mine) as tx:
        for at, number in enumerate(made.numbers):
            await tx.execute(ADD_NUMBER, number, two.mine, f"+1317555010{at}")
            for person in range(20):
                thread = ids.new()
                made.threads[thread] = number
                e164 = f"+1765555{at}{person:03}"
                await tx.execute(ADD_THREAD, thread, two.mine, f"+1317555010{at}", e164, number)
        await tx.execute(
            "INSERT INTO campaigns (id, org_id, name, body_template, number_id) VALUES ($1, $2, 'News', 'Hello', $3)",
            campaign,
            two.mine,
            made.numbers[0],
        )
        for thread in made.threads:
            made.texts += [drawn(chance, thread, campaign) for _ in range(chance.randint(0, 12))]
        await add(tx, made.texts)
    return made


async def add(tx: Tx, texts: list[Text]) -> None:
    for text in texts:
        direction = "outbound" if text.sent_by else "inbound"
        values = (text.status, text.segments, text.sent_by, text.campaign, text.at)
        await tx.execute(ADD_TEXT, ids.new(), text.thread, direction, *values)


def counts(texts: list[Text]) -> tuple[int, ...]:
    incoming = [text for text in texts if text.sent_by is None]
    outgoing = [text for text in texts if text.sent_by is not None]
    return (
        len(incoming),
        len(outgoing),
        sum(text.status == "delivered" for text in outgoing),
        sum(text.status in ("undelivered", "failed") for text in outgoing),
        sum(text.segments for text in incoming),
        sum(text.segments for text in outgoing),
    )


def figures_of(row: text_analytics.TextFiguresRow) -> tuple[int, ...]:
    return (row.incoming, row.outgoing, row.delivered, row.failed, row.incoming_segments, row.outgoing_segments)


def answered_by(texts: list[Text]) -> AnsweredRow:
    threads = defaultdict[UUID, set[str | None]](set)
    for text in texts:
        threads[text.thread].add(text.sent_by)
    found: Counter[str] = Counter()
    for senders in threads.values():
        if None in senders:
            found[next((each for each in ("human", "ai", "api") if each in senders), "nobody")] += 1
    return AnsweredRow(found["human"], found["ai"], found["api"], found["nobody"])


async def test_figures_equal_a_recount_of_the_texts(desk: Desk, two: Two) -> None:
    texts = desk.of(*desk.numbers)
    by_day, by_sender = defaultdict(list), defaultdict(list)
    for text in texts:
        by_day[text.at.astimezone(ZoneInfo(ZONE)).date()].append(text)
        if text.sent_by:
            by_sender[text.sent_by].append(text)
    async with desk.db.tenant(two.mine) as tx:
        grouped = await text_analytics.figures(tx, SPAN)
        answered = await text_analytics.answered(tx, SPAN)
    assert len(texts) > 100 and figures_of(grouped.total) == counts(texts)
    assert {day: figures_of(row) for day, row in grouped.by_day.items()} == {
        day: counts(written) for day, written in by_day.items()
    }
    assert {sender: figures_of(row) for sender, row in grouped.by_sender.items()} == {
        sender: counts(written) for sender, written in by_sender.items()
    }
    assert len(grouped.by_day) == 4 and answered == answered_by(texts)
    async with desk.db.tenant(two.yours) as tx:
        assert figures_of((await text_analytics.figures(tx, SPAN)).total) == (0,) * 6
        assert await text_analytics.campaigns(tx, SPAN) == []


async def test_a_campaign_has_its_replies_and_opt_outs_afterwards(desk: Desk, two: Two) -> None:
    texts = desk.of(*desk.numbers)
    first = dict[UUID, datetime]()
    for text in sorted(texts, key=lambda text: text.at):
        if text.campaign:
            first.setdefault(text.thread, text.at)
    assert len(first) > 5
    replies = {text.thread for text in texts if text.sent_by is None and text.at > first.get(text.thread, UNTIL)}
    before, after, late = list(first)[:3]
    async with desk.db.tenant(two.mine) as tx:
        for thread, at in (
            (before, first[before] - timedelta(minutes=1)),
            (after, first[after] + timedelta(minutes=1)),
        ):
            await opt_out(tx, thread, at)
        await opt_out(tx, late, UNTIL)
        (campaign,) = await text_analytics.campaigns(tx, SPAN)
    sent = [text for text in texts if text.campaign]
    assert (campaign.id, campaign.name) == (desk.campaign, "News")
    found = (campaign.outgoing, campaign.delivered, campaign.failed, campaign.outgoing_segments)
    assert found == counts(sent)[1:4] + counts(sent)[5:]
    assert (campaign.replies, campaign.opt_outs) == (len(replies), 1)


async def opt_out(tx: Tx, thread: UUID, at: datetime) -> None:
    await tx.execute(
        "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, changed_at)"
        " SELECT org_id, contact_e164, true, 'human', $2 FROM conversations WHERE id = $1",
        thread,
        at,
    )


async def test_a_limited_member_has_the_figures_of_their_number(desk: Desk, two: Two) -> None:
    seen, hidden = desk.numbers[1], desk.numbers[0]
    token = LIMITS.set(Limits((seen,), ()))
    try:
        async with desk.db.tenant(two.mine) as tx:
            grouped = await text_analytics.figures(tx, SPAN)
            answered = await text_analytics.answered(tx, SPAN)
            campaigns = await text_analytics.campaigns(tx, SPAN)
    finally:
        LIMITS.reset(token)
    texts = desk.of(seen)
    assert figures_of(grouped.total) == counts(texts) != counts(desk.of(seen, hidden))
    assert answered == answered_by(texts)
    assert campaigns == [], "it is another number's campaign"
