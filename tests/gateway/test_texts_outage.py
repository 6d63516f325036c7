"""Control, the workers and PostgreSQL are down for half a minute under inbound texts: the processes as they run in production."""

import asyncio
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest

from sandbox.twilio import Fault
from tests.support.runningplatform import NUMBER, SHORT, Platform, start_platform

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
OUTAGE_SECONDS = 30.0
SENDERS = [f"+1317555{3000 + n}" for n in range(12)]
#: Between two texts, each of the next sender.
PACE_SECONDS = 0.25
#: The gateway waits for control as long as it does by default.
IN_EARNEST = {name: value for name, value in SHORT.items() if name != "ingress_seconds"}
STORED = """
    SELECT m.carrier_sid, m.contact_e164, m.body FROM messages m WHERE m.direction = 'inbound' ORDER BY m.contact_e164, m.id
"""
EVENTS = "SELECT type, count(*) AS times FROM events WHERE type ~ '^(sms|conversation)[.]' GROUP BY type"


async def texts(made: Platform, sent: dict[str, list[str]], until: asyncio.Event) -> None:
    """Let handsets text the number, by turns, until the event."""
    for number in count():
        if until.is_set():
            return
        sender = SENDERS[number % len(SENDERS)]
        sent[sender].append(f"text {len(sent[sender])}")
        made.carrier.text(NUMBER, sender, sent[sender][-1])
        await asyncio.sleep(PACE_SECONDS)


async def stored(made: Platform, texts: int) -> dict[str, list[str]]:
    """The inbound texts by sender, in the order of their threads, once there are so many."""
    async with asyncio.timeout(120):
        while len(rows := await made.query(STORED)) < texts:
            await asyncio.sleep(0.2)
    assert len({row["carrier_sid"] for row in rows}) == len(rows), "no text is stored twice"
    found = defaultdict[str, list[str]](list)
    for row in rows:
        found[row["contact_e164"]].append(row["body"])
    return found


async def test_half_a_minute_without_control_and_database_loses_and_doubles_no_text(tmp_path: Path) -> None:
    sent, over = defaultdict[str, list[str]](list), asyncio.Event()
    async with start_platform(tmp_path / "home", settings=IN_EARNEST) as made:
        made.carrier.inject_faults(Fault("inbound", "twice", times=1 << 30, share=0.2))
        texting = asyncio.create_task(texts(made, sent, over))
        await stored(made, 4)
        async with made.outage():
            before = sum(map(len, sent.values()))
            await asyncio.sleep(OUTAGE_SECONDS)
            during = sum(map(len, sent.values())) - before
        await stored(made, before + during)
        over.set()
        await texting
        await made.carrier.texts_settled()
        in_all = sum(map(len, sent.values()))
        assert await stored(made, in_all) == sent, "each once, in its order"
        assert during > OUTAGE_SECONDS, "texts kept coming"
        assert made.deaths == ["postgres"] and not made.broken
        answers = [notice.http_status for each in made.carrier.texting.book for notice in each.notices]
        assert len(answers) >= in_all and set(answers) == {200}, "every webhook was answered"
        events = {row["type"]: row["times"] for row in await made.query(EVENTS)}
        assert events == {"conversation.started": len(SENDERS), "sms.received": in_all}
        threads = await made.query("SELECT contact_e164, unread_count FROM conversations")
        assert {row["contact_e164"]: row["unread_count"] for row in threads} == {
            sender: len(bodies) for sender, bodies in sent.items()
        }
