"""From what happened to e-mails: who is told, how often, and what becomes of an e-mail when things go wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest

from control import readers
from control.feature import Reader
from control.notifications import noticekinds
from control.notifications.notifier import EmailLimits, Notifier
from control.notifications.sending import Mailer
from control.team import usecases as team
from control.transfers import record
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.smtp import Bounced, NotSent, Rejected
from hum.v1 import events_pb2
from storage import calls, events, identity, notifications, review, voicemails
from storage.db import Db
from storage.events import ReaderStart
from storage.notifications import PreferencesRow

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY = EmailLimits(
    per_hour=2, bounce=DAY, max_age=HOUR, transcript=timedelta(), invitations=3, invitations_per_address=2
)


@dataclass
class World:
    """An organization with an admin, an operator and a viewer; e-mails go to a list, or where `fail` says."""

    db: Db
    org: UUID
    people: dict[str, UUID]
    sent: list[EmailMessage] = field(default_factory=list)
    fail: Exception | None = None
    policy: EmailLimits = POLICY

    async def take(self, message: EmailMessage) -> None:
        if self.fail:
            raise self.fail
        self.sent.append(message)

    def mailer(self) -> Mailer:
        return Mailer(self.db, self.take, "HUM <hum@example.com>", "https://hum.example", DAY)

    def notifier(self) -> Notifier:
        return Notifier(self.db, self.policy, is_on=True)

    async def read(self) -> None:
        notifier = self.notifier()
        reader = Reader("notifications", ReaderStart.BEGINNING, noticekinds.EVENTS, notifier.read, 1.0)
        while await readers.read(self.db, reader):
            pass
        await notifier.compose()

    async def queued(self) -> list[UUID]:
        async with self.db.system() as tx:
            return [row["id"] for row in await tx.fetch("SELECT id FROM emails WHERE state = 'queued' ORDER BY id")]

    async def work(self) -> list[str]:
        """Read, send what waits, and tell to whom what went."""
        await self.read()
        before = len(self.sent)
        for id in await self.queued():
            await self.mailer().deliver(self.org, id)
        return sorted(f"{message['To']}: {message['Subject']}" for message in self.sent[before:])

    async def emails(self) -> list[dict[str, Any]]:
        async with self.db.system() as tx:
            return [dict(row) for row in await tx.fetch("SELECT * FROM emails ORDER BY id")]

    async def voicemail(self, words: str | None = None) -> UUID:
        (id,) = await self.voicemails(1)
        if words is not None:
            async with self.db.tenant(self.org) as tx:
                await voicemails.store_transcript(tx, self.org, id, f"{id}.wav", words)
        return id

    async def voicemails(self, count: int) -> list[UUID]:
        made = []
        async with self.db.tenant(self.org) as tx:
            for _ in range(count):
                call, id = ids.new(), ids.new()
                await tx.execute(
                    """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
                       VALUES ($1, $2, 'inbound', 'completed', '+13175550199', '+13175550100')""",
                    call,
                    self.org,
                )
                assert await voicemails.upsert(tx, id, self.org, call, f"{id}.wav", 1200) == id
                made.append(id)
        return made

    async def invite(self, email: str) -> UUID:
        principal = Principal(
            self.org, "admin", (), None, None, self.people["admin"], "admin@example.com", site_admin=False
        )
        async with self.db.tenant(self.org) as tx:
            return (await team.invite(tx, principal, email, "viewer", DAY)).id


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, org, people = await Db.open(database_url, size=6), ids.new(), {}
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
        for role in ("admin", "operator", "viewer"):
            people[role] = await identity.upsert_user(tx, ids.new(), f"{role}-{org.hex}@example.com")
            await tx.execute("UPDATE users SET email = $2 WHERE id = $1", people[role], f"{role}@{org.hex}.example")
            await identity.add_member(tx, org, people[role], role)
    yield World(db, org, people)
    await db.close()


async def append(world: World, event: Any, **more: Any) -> None:
    async with world.db.tenant(world.org) as tx:
        await events.append(tx, world.org, ids.new(), event, **more)


async def wish(world: World, role: str, **wishes: bool) -> None:
    row = PreferencesRow(**{"voicemails": None, "transfers": None, "webhooks": None, "limits": None, **wishes})
    async with world.db.tenant(world.org) as tx:
        await notifications.set_preferences(tx, world.people[role], row)


def to(world: World, role: str, subject: str) -> str:
    return f"{role}@{world.org.hex}.example: {subject} (Clinic)"


VOICEMAIL = "New voicemail from +13175550199"


async def test_roles_have_defaults_and_people_their_wishes(world: World) -> None:
    await world.voicemail()
    assert await world.work() == [to(world, "admin", VOICEMAIL), to(world, "operator", VOICEMAIL)]
    await wish(world, "admin", voicemails=False)
    await wish(world, "viewer", voicemails=True)
    await world.voicemail()
    assert await world.work() == [to(world, "operator", VOICEMAIL), to(world, "viewer", VOICEMAIL)]
    assert [each["state"] for each in await world.emails()] == ["sent"] * 4
    assert await world.work() == [], "each is told once"


async def test_a_storm_does_not_flood_an_inbox(world: World) -> None:
    for number in (1, 30):
        await world.voicemails(number)
        assert len(await world.work()) == 2
    await world.voicemails(noticekinds.MOST_WAITING + 5)
    assert await world.work() == [], "both have had their e-mails of this hour"
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT max(n) FROM (SELECT count(*) n FROM notices GROUP BY user_id) x") == 200
        await tx.execute("UPDATE emails SET created_at = created_at - interval '1 hour'")
    assert await world.work() == [to(world, role, "200 new voicemails") for role in ("admin", "operator")], (
        "what waited goes together"
    )
    assert [each["notices"] for each in await world.emails()] == [1, 1, 30, 30, 200, 200]


async def test_who_may_not_know_it_any_more_is_told_nothing(world: World) -> None:
    id = await world.voicemail()
    await world.read()
    async with world.db.system() as tx:
        await tx.execute("DELETE FROM memberships WHERE user_id = $1", world.people["operator"])
        await tx.execute("UPDATE voicemails SET deleted_at = now() WHERE id = $1", id)
    assert await world.work() == []
    assert [each["state"] for each in await world.emails()] == ["dropped", "dropped"]
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM notices") == 0


async def untaken(world: World, number: UUID | None = None) -> UUID:
    """A call that is over, and whose transfer nobody took."""
    call = ids.new()
    async with world.db.tenant(world.org) as tx:
        await tx.execute(
            "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, number_id)"
            " VALUES ($1, $2, 'inbound', 'completed', '+13175550199', '+13175550100', $3)",
            call,
            world.org,
            number,
        )
        await tx.execute(
            "INSERT INTO transfers (org_id, id, call_id, to_e164, caller_id_e164, asked_by, summary, ring_seconds,"
            " whispers, needs_key, unanswered, state, started_at)"
            " VALUES ($1, $2, $3, '+3', '+2', 'agent', '', 20, false, false, 'agent', 'no_answer', now())",
            world.org,
            ids.new(),
            call,
        )
        await record.mark_untaken(tx, await calls.lock(tx, call))
        await record.mark_untaken(tx, await calls.lock(tx, call))
    return call


UNTAKEN = "Nobody took the call of +13175550199"


async def test_callers_whom_nobody_took_are_told_of_until_somebody_has_dealt_with_them(world: World) -> None:
    await untaken(world)
    assert await world.work() == [to(world, "admin", UNTAKEN), to(world, "operator", UNTAKEN)]
    await wish(world, "admin", transfers=False)
    call = await untaken(world)
    await world.read()
    async with world.db.tenant(world.org) as tx:
        await review.remove_tag(tx, call, record.NOT_TAKEN)
    assert await world.work() == []
    assert [each["state"] for each in await world.emails()] == ["sent", "sent", "dropped"]


async def test_a_limited_member_is_told_of_the_callers_of_their_numbers_alone(world: World) -> None:
    mine, hidden = ids.new(), ids.new()
    async with world.db.system() as tx:
        for number, e164 in ((mine, "+13175550100"), (hidden, "+13175550101")):
            await tx.execute(
                "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, $3, 'PN' || $3, '{voice}')",
                number,
                world.org,
                e164,
            )
        await tx.execute(
            "UPDATE memberships SET limited_numbers = ARRAY[$2::uuid] WHERE user_id = $1",
            world.people["operator"],
            mine,
        )
    await wish(world, "admin", transfers=False)
    await untaken(world, hidden)
    assert await world.work() == []
    await untaken(world, mine)
    assert await world.work() == [to(world, "operator", UNTAKEN)]
    await untaken(world, mine)
    await world.read()
    async with world.db.system() as tx:
        await tx.execute(
            "UPDATE memberships SET limited_numbers = ARRAY[$2::uuid] WHERE user_id = $1",
            world.people["operator"],
            hidden,
        )
    assert await world.work() == [], "the right was lost before it was sent"


async def test_words_are_waited_for_where_they_are_told(world: World) -> None:
    world.policy = EmailLimits(10, DAY, HOUR, timedelta(minutes=5), 3, 2)
    await wish(world, "operator", voicemails=False)
    await world.voicemail("Call me back")
    await world.work()
    assert "back" not in world.sent[0].as_string()
    async with world.db.system() as tx:
        await tx.execute("UPDATE organizations SET notify_transcripts = true WHERE org_id = $1", world.org)
    await world.voicemail()
    assert await world.work() == [], "its transcript is not there yet"
    await world.voicemail("Call me back")
    assert await world.work() == [to(world, "admin", VOICEMAIL)]
    assert "Call me back" in world.sent[1].as_string()


async def test_failures_and_limits_are_told_by_their_names(world: World) -> None:
    """Whichever feature appends them: here they are written as rows."""
    async with world.db.system() as tx:
        for type, data in (("webhook.disabled", '{"url": "https://a.example", "reason": "gone"}'),
                           ("limit.warning", '{"resource": "minutes", "percent": 80}')):  # fmt: skip
            await tx.execute(
                """INSERT INTO events (public_id, org_id, type, version, subject_id, data) VALUES ($1, $2, $3, 1, $1, $4)""",
                ids.new(),
                world.org,
                type,
                data,
            )
    assert await world.work() == [to(world, "admin", "2 things")]
    text = world.sent[0].as_string()
    assert "A webhook was disabled" in text and "80 % of your minutes" in text


async def test_a_server_that_is_away_is_tried_again_with_the_same_id(world: World) -> None:
    world.fail = NotSent("it is away")
    await world.invite("new@example.com")
    await world.read()
    (id,) = await world.queued()
    for _ in range(2):
        with pytest.raises(NotSent):
            await world.mailer().deliver(world.org, id)
    world.fail = None
    # A process dies after the server's answer: its e-mail is sent once more, and has the same id.
    mailer = world.mailer()
    await mailer.deliver(world.org, id)
    async with world.db.system() as tx:
        await tx.execute("UPDATE emails SET state = 'queued', ended_at = NULL")
    await mailer.deliver(world.org, id)
    assert len({message["Message-ID"] for message in world.sent}) == 1 and len(world.sent) == 2
    await mailer.deliver(world.org, id)
    assert len(world.sent) == 2, "an e-mail that has ended is not sent"
    (row,) = await world.emails()
    assert (row["state"], row["attempts"], row["error"], row["to_address"]) == ("sent", 4, None, "new@example.com")


async def test_it_is_given_up_after_a_day(world: World) -> None:
    world.fail = NotSent("it is away")
    await world.invite("new@example.com")
    await world.read()
    async with world.db.system() as tx:
        await tx.execute("UPDATE emails SET created_at = created_at - interval '25 hours'")
    await world.work()
    (row,) = await world.emails()
    assert (row["state"], row["error"]) == ("failed", "it is away")


@pytest.mark.parametrize(("error", "state"), [(Bounced("550 No"), "bounced"), (Rejected("554 Spam"), "failed")])
async def test_what_is_refused_for_good_is_not_tried_again(world: World, error: Exception, state: str) -> None:
    await wish(world, "operator", voicemails=False)
    world.fail = error
    await world.voicemail()
    await world.work()
    world.fail = None
    assert [(each["state"], each["attempts"]) for each in await world.emails()] == [(state, 1)]
    await world.voicemail()
    assert len(await world.work()) == (0 if state == "bounced" else 1), "an address that bounced is left alone"


async def test_invitations_are_limited_and_forgotten_with_their_reason(world: World) -> None:
    gone = await world.invite("gone@example.com")
    await world.read()
    async with world.db.system() as tx:
        await tx.execute("DELETE FROM invites WHERE id = $1", gone)
    assert await world.work() == []
    for number in range(4):
        await world.invite(f"new{number}@example.com")
    assert len(await world.work()) == 3
    states = [(each["state"], each["error"]) for each in await world.emails()]
    limit = "the organization sent 3 invitations in 24 hours"
    assert states == [("dropped", None), *[("sent", None)] * 3, ("dropped", limit)]


async def test_old_news_is_no_news(world: World) -> None:
    await append(world, events_pb2.VoicemailReceivedEvent(), at=now() - 2 * HOUR)
    assert await world.work() == []
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM notices") == 0


async def test_two_workers_make_one_email(world: World) -> None:
    await world.voicemail()
    notifier = world.notifier()
    reader = Reader("notifications", ReaderStart.BEGINNING, noticekinds.EVENTS, notifier.read, 1.0)
    await readers.read(world.db, reader)
    await asyncio.gather(*(world.notifier().compose() for _ in range(5)))
    assert len(await world.queued()) == 2


async def test_records_go_in_the_end(world: World) -> None:
    await world.voicemail()
    await world.work()
    async with world.db.system() as tx:
        await tx.execute("UPDATE emails SET created_at = created_at - interval '3 days'")
        await notifications.prune(tx, HOUR, DAY, 7 * DAY)
        assert await tx.fetchval("SELECT count(*) FROM emails") == 2
        await notifications.prune(tx, HOUR, DAY, DAY)
        assert await tx.fetchval("SELECT count(*) FROM emails") == 0
