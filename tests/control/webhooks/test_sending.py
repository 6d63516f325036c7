"""Many receivers side by side: order, windows, claims, and what of it is whose fault."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from control.clients.http import HttpAnswer
from control.webhooks import bodies, lateness, retries, usecases
from control.webhooks.recording import NOT_STORED
from control.webhooks.retries import Schedule
from hum import ids
from hum.clock import now
from hum.ids import Kind
from sandbox.receiver import ReceivedRequest, ReceiverFault, Reply
from storage import identity, webhook_deliveries, webhook_queues
from storage.db import UNAVAILABLE, Db, Tx
from storage.webhook_queues import DeadBackOff, OutcomeRow
from tests.control.webhooks.conftest import SCHEDULE, Hooked, received
from tests.support.present import present
from tests.support.waits import patience


def sequences(requests: Sequence[ReceivedRequest]) -> list[int]:
    return [json.loads(each.body)["sequence"] for each in requests]


async def test_each_conversations_events_are_numbered_whoever_wants_them(hooked: Hooked) -> None:
    one, other = ids.new(), ids.new()
    await hooked.webhook("/all")
    await hooked.webhook("/none", events=["call.completed"])
    await hooked.happen(received(1, one), received(2, one), received(1, other))
    await hooked.happen(received(3, one))
    await hooked.sender().send_due()
    by_thread = dict[str, list[int]]()
    for each in hooked.receiver.at("/all"):
        body = json.loads(each.body)
        by_thread.setdefault(body["data"]["conversation_id"], []).append(body["sequence"])
    assert {id: sorted(found) for id, found in by_thread.items()} == {
        ids.show(Kind.CONVERSATION, one): [1, 2, 3],
        ids.show(Kind.CONVERSATION, other): [1],
    }


async def test_an_ordered_webhook_gets_a_conversation_in_order_through_failures(hooked: Hooked) -> None:
    thread, other = ids.new(), ids.new()
    webhook = await hooked.webhook(ordered=True)
    hooked.receiver.say("/hook", Reply(500), Reply(500), Reply(500))
    await hooked.happen(*(received(n, thread) for n in range(1, 6)), received(1, other))
    found = await hooked.until_settled(webhook)
    assert {each.state for each in found} == {"delivered"}
    bodies = [json.loads(each.body) for each in hooked.receiver.requests]
    order = [
        each["sequence"] for each in bodies if each["data"]["conversation_id"] == ids.show(Kind.CONVERSATION, thread)
    ]
    assert order == sorted(order)
    assert set(order) == {1, 2, 3, 4, 5}
    assert len(hooked.receiver.requests) == 9


async def test_after_one_that_failed_for_good_order_goes_on(hooked: Hooked) -> None:
    thread = ids.new()
    webhook = await hooked.webhook(ordered=True)
    hooked.receiver.say("/hook", Reply(500))
    await hooked.happen(received(1, thread), received(2, thread))
    found = await hooked.until_settled(webhook, hooked.sender(schedule=Schedule((), 0, 0)))
    found.sort(key=lambda each: each.sequence or 0)
    assert [each.state for each in found] == ["failed", "delivered"]
    assert sequences(hooked.receiver.requests) == [1, 2]


async def test_dead_and_slow_receivers_delay_nobody(hooked: Hooked) -> None:
    for n in range(6):
        await hooked.webhook(f"/dead{n}")
        hooked.receiver.always(f"/dead{n}", Reply(fault=ReceiverFault.HANG))
    await hooked.webhook("/good")
    # Six hanging receivers, each with more than its window, and far more than there is room for in all.
    await hooked.happen(*(received(n) for n in range(20)))
    sending = asyncio.create_task(hooked.sender(width=40, request_seconds=30.0, lease_seconds=60.0).send_due())
    try:
        await hooked.receiver.wait(20, "/good", 15)
        for n in range(6):
            assert len(hooked.receiver.at(f"/dead{n}")) <= 8
    finally:
        sending.cancel()
        await hooked.web.close()
        await asyncio.gather(sending, return_exceptions=True)


async def test_one_that_keeps_failing_is_left_alone_and_found_again_when_it_is_back(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.always("/hook", Reply(500))
    await hooked.happen(*(received(n) for n in range(50)))
    sender = hooked.sender(schedule=Schedule((0.01,) * 60, 0, 0), dead_width=1)
    async with patience():
        while len(hooked.receiver.requests) < 12:
            await sender.send_due()
            await asyncio.sleep(0.02)
    async with hooked.db.system() as tx:
        held = await tx.fetchval("SELECT held_until > now() - interval '1 second' FROM webhook_queues")
        pending = await tx.fetchval("SELECT count(*) FROM webhook_deliveries WHERE due_at <= now()")
    assert held
    assert pending > 20  # they wait for the receiver, not for their turn among all
    hooked.receiver.always("/hook", Reply(200))
    found = await hooked.until_settled(webhook, sender)
    assert {each.state for each in found} == {"delivered"}


async def test_an_organization_has_only_so_many_requests_at_once(hooked: Hooked) -> None:
    other = ids.new()
    async with hooked.db.system() as tx:
        await identity.create_organization(tx, other, "Other")
    for n in range(4):
        await hooked.webhook(f"/hang{n}")
        hooked.receiver.always(f"/hang{n}", Reply(fault=ReceiverFault.HANG))
    await hooked.webhook("/other", org=other)
    await hooked.happen(*(received(n) for n in range(20)))
    await hooked.happen(received(), org=other)
    sending = asyncio.create_task(
        hooked.sender(width=10, organization_width=6, request_seconds=30.0, lease_seconds=60.0).send_due()
    )
    try:
        await hooked.receiver.wait(1, "/other", 15)
        assert len(hooked.receiver.requests) <= 7
    finally:
        sending.cancel()
        await hooked.web.close()
        await asyncio.gather(sending, return_exceptions=True)


async def test_two_senders_never_have_the_same_delivery(hooked: Hooked) -> None:
    webhooks = [await hooked.webhook(f"/{n}") for n in range(5)]
    await hooked.happen(*(received(n) for n in range(60)))
    senders = [hooked.sender(), hooked.sender(), hooked.sender()]
    async with patience():
        while len(hooked.receiver.requests) < 300:
            await asyncio.gather(*(each.send_due() for each in senders))
    await asyncio.gather(*(each.send_due() for each in senders))
    assert (
        len(hooked.receiver.requests)
        == len({each.headers["x-hum-delivery"] for each in hooked.receiver.requests})
        == 300
    )
    for each in webhooks:
        assert {row.state for row in await hooked.deliveries(each)} == {"delivered"}


async def test_what_a_sender_took_and_left_is_taken_again_and_its_late_word_does_not_count(hooked: Hooked) -> None:
    webhook, answered, go = await hooked.webhook(), asyncio.Event(), asyncio.Event()

    async def at_step(step: str) -> None:
        if step == "answered" and not answered.is_set():
            answered.set()
            await go.wait()

    hooked.receiver.say("/hook", Reply(500))
    await hooked.happen(received())
    stuck = asyncio.create_task(hooked.sender(at_step).send_due())
    await answered.wait()
    async with hooked.db.system() as tx:  # its lease ends
        await tx.execute("UPDATE webhook_deliveries SET due_at = now(); ")
        await tx.execute("UPDATE webhook_queues SET next_at = now()")
    await hooked.sender().send_due()
    go.set()
    await stuck
    (delivery,) = await hooked.deliveries(webhook)
    assert (delivery.state, delivery.attempts, len(hooked.receiver.requests)) == ("delivered", 2, 2)
    async with hooked.db.tenant(hooked.org) as tx:
        attempts = await webhook_deliveries.attempts(tx, delivery.id)
    assert [(each.number, each.error) for each in attempts] == [(1, "interrupted"), (2, None)]
    assert len({each.headers["webhook-id"] for each in hooked.receiver.requests}) == 1


async def test_an_answer_waits_for_a_database_that_is_away(hooked: Hooked) -> None:
    webhook, answered, go = await hooked.webhook(), asyncio.Event(), asyncio.Event()

    async def at_step(step: str) -> None:
        if step == "answered":
            answered.set()
            await go.wait()

    await hooked.happen(received())
    sending = asyncio.create_task(hooked.sender(at_step).send_due())
    await answered.wait()
    blocker = await asyncpg.connect(hooked.db.url)  # nobody gets a lock: the statements are cancelled, as BUSY
    await blocker.execute("BEGIN; LOCK TABLE webhook_queues IN ACCESS EXCLUSIVE MODE")
    go.set()
    async with hooked.db.system() as tx:
        while not await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    await blocker.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    await blocker.execute("ROLLBACK")
    await blocker.close()
    with suppress(*UNAVAILABLE):  # a worker begins the step again
        await sending
    assert [each.state for each in await hooked.deliveries(webhook)] == ["delivered"]
    assert len(hooked.receiver.requests) == 1


def answer_unstorably(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the receiver at `/bad` answer with a content type that the database refuses."""
    ask = hooked.web.request

    async def request(method: str, url: str, **options: Any) -> HttpAnswer:
        answer = await ask(method, url, **options)
        return replace(answer, headers={"content-type": "\udcff"}) if url.endswith("/bad") else answer

    monkeypatch.setattr(hooked.web, "request", request)


async def test_an_outcome_that_can_not_be_recorded_takes_no_other_with_it(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_unstorably(hooked, monkeypatch)
    good, bad, other = await hooked.webhook(), await hooked.webhook("/bad"), await hooked.webhook()
    await hooked.happen(received())
    async with patience():
        sender = hooked.sender(batch_seconds=0.1)
        await sender.send_due()
        while [each.state for id in (good, other) for each in await hooked.deliveries(id)] != ["delivered"] * 2:
            await asyncio.sleep(0.01)
    (delivery,) = await hooked.until_settled(bad)
    assert (delivery.state, delivery.response_status, len(hooked.receiver.at("/bad"))) == ("delivered", 200, 1)
    async with hooked.db.tenant(hooked.org) as tx:
        (attempt,) = await webhook_deliveries.attempts(tx, delivery.id)
    assert (attempt.message, attempt.response_type) == (NOT_STORED, None)


async def test_retries_run_out_although_no_answer_can_be_recorded(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_unstorably(hooked, monkeypatch)
    hooked.receiver.always("/bad", Reply(500))
    bad = await hooked.webhook("/bad")
    await hooked.happen(received())
    sender = hooked.sender(schedule=Schedule((0.01,) * SCHEDULE.retries, 0.2, 1.0), dead=DeadBackOff(99, 0.2, 1.0))
    (delivery,) = await hooked.until_settled(bad, sender)
    assert (delivery.state, delivery.error, delivery.attempts) == ("failed", "status", 1 + SCHEDULE.retries)


async def test_an_outcome_is_counted_once_although_its_batch_is_recorded_again(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that can't be recorded as a whole is halved; the database is unavailable after the first half."""
    record, sizes, together = webhook_queues.record, list[int](), asyncio.Barrier(4)

    async def record_half(tx: Tx, outcomes: Sequence[OutcomeRow]) -> set[UUID]:
        sizes.append(len(outcomes))
        if len(sizes) in {1, 3}:
            raise ValueError if len(sizes) == 1 else ConnectionError
        return await record(tx, outcomes)

    async def at_step(step: str) -> None:
        if step == "answered":
            await together.wait()

    monkeypatch.setattr(webhook_queues, "record", record_half)
    hooked.receiver.always("/hook", Reply(500))
    webhook = await hooked.webhook()
    await hooked.happen(*(received(number) for number in range(4)))
    async with patience():
        await hooked.sender(at_step, Schedule((3600.0,), 0, 0)).send_due()
    assert sizes == [4, 2, 2, 4]
    assert [(each.state, each.attempts) for each in await hooked.deliveries(webhook)] == [("pending", 1)] * 4
    async with hooked.db.system() as tx:
        assert await tx.fetchval("SELECT failures FROM webhook_queues") == 4


async def test_an_attempt_that_fails_by_a_bug_is_retried_only_as_often_as_others(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise UnicodeError

    monkeypatch.setattr(bodies, "body", broken)
    webhook = await hooked.webhook()
    await hooked.happen(received())
    (row,) = await hooked.until_settled(webhook, hooked.sender(schedule=Schedule((0.01,) * 9, 0.2, 1.0)))
    assert (row.state, row.error, row.attempts) == ("failed", "interrupted", 1 + SCHEDULE.retries)


async def test_no_transaction_is_open_while_a_receiver_is_asked(hooked: Hooked) -> None:
    """With one connection for all: whoever kept it would keep it from the rest."""
    await hooked.webhook()
    await hooked.happen(*(received(count) for count in range(3)))
    db, seen = await Db.open(hooked.db.url, size=1), list[int]()

    async def at_step(step: str) -> None:
        if step == "sending":
            async with db.system() as tx:
                seen.append(await tx.fetchval("SELECT count(*) FROM webhook_deliveries WHERE claim_id IS NOT NULL"))

    async with patience():
        await replace(hooked, db=db).sender(at_step).send_due()
    await db.close()
    assert len(seen) == 3 and max(seen) >= 1 and len(hooked.receiver.requests) == 3


async def failing_for(hooked: Hooked, webhook: UUID, days: float) -> None:
    async with hooked.db.system() as tx:
        await tx.execute(
            "UPDATE webhook_queues SET failing_since = now() - $2 * interval '1 day', last_failed_at = now(), failures = 9"
            " WHERE webhook_id = $1",
            webhook,
            days,
        )


async def test_warnings_come_once_each_and_after_five_days_it_is_disabled(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    found = list[list[str]]()
    for days in (0.5, 1.1, 1.2, 3.1, 3.2, 5.1, 5.2):
        await failing_for(hooked, webhook, days)
        await usecases.check_failing(hooked.db, (1.0, 3.0), 5.0)
        async with hooked.db.system() as tx:
            found.append(
                [
                    row["type"]
                    for row in await tx.fetch("SELECT type FROM events WHERE type LIKE 'webhook.%' ORDER BY id")
                ]
            )
    failing, disabled = "webhook.failing", "webhook.disabled"
    both = [failing, failing]
    assert found == [[], [failing], [failing], both, both, [*both, disabled], [*both, disabled]]
    assert (await hooked.row(webhook)).disabled_reason == "failing"
    async with hooked.db.tenant(hooked.org) as tx:
        actions = [row["action"] for row in await tx.fetch("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["warnedOfWebhook", "warnedOfWebhook", "disabledWebhook"]


async def test_one_that_failed_long_ago_and_again_is_warned_of_before_it_is_disabled(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    await failing_for(hooked, webhook, 6.0)
    for _ in range(3):
        await usecases.check_failing(hooked.db, (1.0, 3.0), 5.0)
    async with hooked.db.system() as tx:
        events = await tx.fetch("SELECT type, data FROM events WHERE type LIKE 'webhook.%'")
        since, warnings = present(await tx.fetchrow("SELECT now() - failing_since, warnings FROM webhook_queues"))
    assert [row["type"] for row in events] == ["webhook.failing"] and warnings == 1
    assert timedelta(days=1) <= since < timedelta(days=1, minutes=1), "two days before the next warning"
    told = json.loads(events[0]["data"])
    days = datetime.fromisoformat(told["disables_at"]) - datetime.fromisoformat(told["failing_since"])
    assert days == timedelta(days=5)


@pytest.mark.parametrize(
    ("days", "warnings", "step"),
    [
        (0.9, 0, None),
        (1.0, 0, (False, 1.0)),
        (2.9, 1, None),
        (2.9, 0, (False, 2.9)),
        (9.0, 0, (False, 1.0)),
        (9.0, 1, (False, 3.0)),
        (4.9, 2, None),
        (5.0, 2, (True, 5.0)),
        (9.0, 7, (True, 9.0)),
    ],
)
def test_no_step_before_the_end_is_left_out(days: float, warnings: int, step: tuple[bool, float] | None) -> None:
    found = retries.step_due(days * retries.DAY_SECONDS, warnings, (1.0, 3.0), 5.0)
    assert (found and (found.is_last, found.failing_seconds / retries.DAY_SECONDS)) == step
    assert retries.step_due(days * retries.DAY_SECONDS, 0, (7.0,), 5.0) == (
        retries.Step(is_last=True, failing_seconds=days * retries.DAY_SECONDS) if days >= 5.0 else None
    ), "a warning that would come after the end does not"


async def test_a_success_ends_the_failing(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    await failing_for(hooked, webhook, 4.0)
    await hooked.happen(received())
    await hooked.until_settled(webhook)
    row = await hooked.row(webhook)
    assert row.failing_since is None
    assert row.last_delivered_at is not None


async def test_late_is_what_nobody_has_looked_at_and_not_what_a_receiver_delays(hooked: Hooked) -> None:
    await hooked.webhook()
    await hooked.happen(received())
    assert await lateness.missing(hooked.db, 60.0) == []
    async with hooked.db.system() as tx:
        await tx.execute("UPDATE webhook_queues SET next_at = now() - interval '61 seconds'")
    assert "no worker has polled" in (await lateness.missing(hooked.db, 60.0))[0]
    hooked.receiver.always("/hook", Reply(500))
    sender = hooked.sender(schedule=Schedule((3600.0,), 0, 0))
    await sender.send_due()
    assert await lateness.missing(hooked.db, 60.0) == []


async def test_the_oldest_that_waits_is_measured_also_while_its_receiver_delays_it(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    await lateness.measure(hooked.db)
    assert (lateness.OLDEST._value.get(), lateness.LATE._value.get()) == (0, 0)
    hooked.receiver.always("/hook", Reply(500))
    await hooked.happen(received())
    await hooked.sender(schedule=Schedule((3600.0,), 0, 0)).send_due()
    async with hooked.db.system() as tx:
        await tx.execute("UPDATE webhook_deliveries SET due_at = now() - interval '90 seconds'")
        await tx.execute("UPDATE webhook_queues SET next_at = now() + interval '60 seconds'")
    await lateness.measure(hooked.db)
    assert 90 <= lateness.OLDEST._value.get() < 90 + 3600 and lateness.LATE._value.get() == 0
    async with hooked.db.system() as tx:
        await tx.execute("UPDATE webhook_queues SET next_at = now() - interval '30 seconds'")
    await lateness.measure(hooked.db)
    assert 30 <= lateness.LATE._value.get() < 30 + 3600
    assert [each.state for each in await hooked.deliveries(webhook)] == ["pending"]


async def test_old_deliveries_are_forgotten_with_their_attempts_and_pending_ones_stay(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    await hooked.happen(received())
    await hooked.sender().send_due()
    hooked.receiver.always("/hook", Reply(500))
    await hooked.happen(received(2))
    await hooked.sender(schedule=Schedule((3600.0,), 0, 0)).send_due()
    await usecases.prune(hooked.db, timedelta(days=1))
    assert len(await hooked.deliveries(webhook)) == 2
    await usecases.prune(hooked.db, -timedelta(seconds=5))
    assert [each.state for each in await hooked.deliveries(webhook)] == ["pending"]
    async with hooked.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM webhook_attempts") == 1
    assert now() > (await hooked.row(webhook)).created_at
