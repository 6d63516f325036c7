"""The carrier's callbacks in any order, and what a person decides where it is silent."""

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest

from control.delivery import usecases
from control.texts import lookups, statusbatches, statuses
from control.texts.lookups import DRIFT
from control.texts.statusbatches import AttemptReport
from control.texts.statuses import CarrierReport
from hum import ids
from hum.contract.errors import CarrierError, InvalidState, NotFound
from storage import identity, text_attempts
from storage.db import Tx
from storage.messages import MessageRow
from tests.control.texts.conftest import Texting
from tests.control.texts.desk import TextDesk, shown
from tests.support.examples import sample

WORDS = [
    ("queued", None),
    ("sent", None),
    ("delivered", None),
    ("undelivered", "30003"),
    ("failed", "30001"),
    ("failed", "30008"),
    ("failed", "21610"),
    ("read", None),
]


@pytest.fixture
async def desk(texting: Texting) -> TextDesk:
    return TextDesk(texting)


async def final(tx: Tx) -> tuple[Any, ...]:
    """All of the rows but when they came."""
    message = await tx.fetchrow("SELECT * FROM messages")
    attempt = await tx.fetchrow("SELECT * FROM message_attempts")
    opted_out = await tx.fetchval("SELECT count(*) FROM opt_outs WHERE opted_out")
    assert message is not None and attempt is not None
    return (
        *(message[name] for name in ("status", "error_code", "carrier_sid", "due_at")),
        *(message[name] is None for name in ("sent_at", "delivered_at")),
        *(attempt[name] for name in ("state", "carrier_sid", "carrier_status", "error_code")),
        attempt["retry_at"] is None,
        opted_out,
    )


async def results(
    desk: TextDesk, orders: list[tuple[tuple[str, str | None], ...]], *, together: bool = True
) -> set[tuple[Any, ...]]:
    """How the rows stand after each of these orders, each word told twice in places, from an attempt without an answer: one word
    after another, and, unless not `together`, all at once, and the first alone.
    """
    (attempt,) = await desk.attempts()
    found = set()
    for order in orders:
        told = [
            AttemptReport(attempt["id"], CarrierReport("SM" + "1" * 32, status, code, "callback"), attempt["to_e164"])
            for status, code in (*order, order[0])
        ]
        ways = [[[each] for each in told], [told], [told[:1], told[1:]]]
        for batches in ways if together else ways[:1]:
            async with desk.db.system() as tx:
                await tx.execute("SAVEPOINT before")
                for batch in batches:
                    left = await statusbatches.record_plain(tx, batch) if len(batch) > 1 else {0}
                    for place in sorted(left):
                        await statuses.lock_and_apply_report(
                            tx, batch[place].attempt, batch[place].report, batch[place].to_e164
                        )
                found.add(await final(tx))
                await tx.execute("ROLLBACK TO before")
    return found


def name(attempt: Any) -> str:
    return shown(attempt["id"])


async def begin(desk: TextDesk) -> None:
    await desk.write()
    assert (await desk.claim()).attempts


@pytest.mark.sampled
async def test_orders_of_callbacks_end_in_one_row(desk: TextDesk) -> None:
    """A sample of what the slow one tries: each pair, and some longer ones."""
    await begin(desk)
    for pair in sample(list(itertools.combinations(WORDS, 2)), 2):
        assert len(await results(desk, list(itertools.permutations(pair)))) == 1, pair
    for _ in range(2):
        four = random.sample(WORDS, 4)
        orders = random.sample(list(itertools.permutations(four)), 5)
        assert len(await results(desk, orders)) == 1, orders


@pytest.mark.fuzz
@pytest.mark.timeout(600)
async def test_every_order_of_every_subset_ends_in_one_row(desk: TextDesk) -> None:
    """Of all words up to four of them; of one word of each kind, all five."""
    await begin(desk)
    kinds = [("queued", None), ("sent", None), ("delivered", None), ("undelivered", "30003"), ("failed", "21610")]
    assert len(await results(desk, list(itertools.permutations(kinds)), together=False)) == 1
    for size in (1, 2, 3, 4):
        for subset in itertools.combinations(WORDS, size):
            orders = list(itertools.permutations(subset))
            assert len(await results(desk, orders, together=size < 4)) == 1, subset


async def test_a_callback_comes_before_our_own_answer(desk: TextDesk) -> None:
    message = await desk.write()
    (claimed,) = (await desk.claim()).attempts
    desk.carrier.texted["SM" + "0" * 32] = desk.poster()._text(claimed)
    await desk.says("SM" + "0" * 32, "delivered")
    assert await desk.events(message) == ["sms.sent", "sms.delivered"]
    del desk.carrier.texted["SM" + "0" * 32]
    await desk.poster().send(claimed)  # the answer to the same request
    assert await desk.state(message) == ("delivered", None, ["accepted"])
    assert await desk.events(message) == ["sms.sent", "sms.delivered"]


async def test_a_callback_that_does_not_fit_changes_nothing(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    before = await desk.state(message)
    for fields in (
        {"to_e164": "+13175550000"},
        {"name": "send_" + "0" * 26},
        {"name": "msg_" + "0" * 26},
        {"name": ""},
    ):
        with pytest.raises(NotFound):
            await desk.says(sid, "failed", "30008", **fields)
    desk.carrier.texted["SMother"] = desk.carrier.texted[sid]
    with pytest.raises(NotFound):
        await desk.says("SMother", "failed", "30008")
    assert await desk.state(message) == before and await desk.events(message) == ["sms.sent"]


async def test_the_ledger_is_bounded_and_the_last_word_still_counts(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    for _ in range(60):
        await desk.says(sid, "sent")
    await desk.says(sid, "delivered")
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM message_statuses") == 50
    assert (await desk.state(message))[0] == "delivered"
    await desk.says(sid, "sent")
    assert (await desk.state(message))[0] == "delivered"


async def test_an_error_of_one_segment_wins(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    for status, code in (("delivered", None), ("undelivered", "30005"), ("delivered", None), ("undelivered", "30005")):
        await desk.says(sid, status, code)
    assert (await desk.state(message))[:2] == ("undelivered", "30005")
    assert await desk.events(message) == ["sms.sent", "sms.delivered", "sms.failed"]


# --- another attempt


async def test_an_unreachable_handset_is_tried_once_more(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (first,) = desk.carrier.texted
    await desk.says(first, "undelivered", "30003")
    assert await desk.state(message) == ("sent", None, ["failed"])
    await desk.lookups.retry_due()
    await desk.send()
    assert len(desk.bodies) == 1, "not before its time"
    await desk.later(15 * 60 + 1)
    await desk.lookups.retry_due()
    await desk.send()
    assert await desk.state(message) == ("sent", None, ["failed", "accepted"])
    _, second = desk.carrier.texted
    await desk.says(second, "undelivered", "30003")
    assert await desk.state(message) == ("undelivered", "30003", ["failed", "accepted"])
    assert await desk.events(message) == ["sms.sent", "sms.failed"]
    await desk.says(first, "delivered")
    assert (await desk.state(message))[0] == "undelivered", "it stands as its latest attempt does"


async def test_a_text_that_arrived_after_all_is_not_sent_again(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "undelivered", "30003")
    await desk.later(15 * 60 + 1)
    await desk.lookups.retry_due()  # it is due
    await desk.says(sid, "delivered")
    await desk.send()
    assert desk.bodies == ["Hello"]
    assert (await desk.state(message))[:2] == ("undelivered", "30003")


async def test_who_opts_out_before_the_second_attempt_gets_none(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "undelivered", "30003")
    async with desk.db.system() as tx:
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) SELECT org_id, contact_e164, true, 'api' FROM messages"
        )
    await desk.later(15 * 60 + 1)
    await desk.lookups.retry_due()
    await desk.send()
    assert desk.bodies == ["Hello"] and (await desk.state(message))[:2] == ("undelivered", "30003")
    await desk.says(sid, "undelivered", "30003")
    await desk.later(15 * 60 + 1)
    await desk.lookups.retry_due()
    assert (await desk.row(message))["due_at"] is None


# --- silence


async def test_a_lost_callback_is_asked_for(desk: TextDesk) -> None:
    message = await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.lookups.reconcile()
    assert (await desk.state(message))[0] == "sent"
    desk.carrier.texts[sid] = replace_status(desk.carrier.texts[sid], "delivered")
    drift = DRIFT.labels("status")._value.get()
    await desk.later(7 * 3600)
    await desk.lookups.reconcile()
    assert (await desk.state(message))[0] == "delivered"
    await desk.later(7 * 3600)
    await desk.lookups.reconcile()
    assert DRIFT.labels("status")._value.get() == drift + 1, "the report has it, once"
    async with desk.db.system() as tx:
        by = await tx.fetch("SELECT told_by FROM message_statuses ORDER BY id")
    assert [row["told_by"] for row in by] == ["answer", "list"]


def replace_status(text: Any, status: str) -> Any:
    return replace(text, status=status)


async def unknown(desk: TextDesk) -> Any:
    message = await desk.write()
    desk.carrier.lose_texts = [CarrierError("", http_status="503")]
    desk.carrier.fail = CarrierError("away")
    await desk.send()
    await desk.later(3700)
    await desk.lookups.look_up_unconfirmed_texts()
    assert (await desk.state(message))[0] == "unknown"
    return message


@pytest.mark.parametrize(
    ("resolution", "ends"),
    [("sent", ("sent", None)), ("failed", ("failed", "given_up")), ("send_again", ("sent", None))],
)
async def test_a_person_decides(desk: TextDesk, resolution: str, ends: tuple[str, str | None]) -> None:
    message = await unknown(desk)
    async with desk.db.tenant(desk.org) as tx:
        await usecases.resolve(tx, message.id, resolution)
    await desk.send()
    assert (await desk.state(message))[:2] == ends
    assert len(desk.bodies) == (2 if resolution == "send_again" else 1)
    with pytest.raises(InvalidState):
        async with desk.db.tenant(desk.org) as tx:
            await usecases.resolve(tx, message.id, resolution)
    if resolution == "failed":  # the carrier tells after all
        await desk.says(next(iter(desk.carrier.texted)), "delivered")
        assert await desk.state(message) == ("delivered", None, ["accepted"])


async def test_the_others_message_is_nobodys_business(desk: TextDesk) -> None:
    message, other = await unknown(desk), ids.new()
    async with desk.db.system() as tx:
        await identity.create_organization(tx, other, "Other")
    with pytest.raises(NotFound):
        async with desk.db.tenant(other) as tx:
            await usecases.resolve(tx, message.id, "send_again")


# --- an account whose requests all fail


@pytest.fixture
async def suspended(desk: TextDesk, monkeypatch: pytest.MonkeyPatch) -> list[MessageRow]:
    """Three texts, of which the carrier can be asked about the last one only; a sweep asks about two."""
    messages = [await desk.write(contact=f"+1317555019{number}") for number in range(3)]
    monkeypatch.setattr(lookups, "MOST_LOOKS", 2)
    find_text, sent_texts = desk.carrier.find_text, desk.carrier.sent_texts

    async def find(sid: str, account: str = "") -> Any:
        if account == "AC5":
            raise CarrierError("The carrier refused.")
        return await find_text(sid, account)

    async def listed(account: str, *between: Any) -> Any:
        if account == "AC5":
            raise CarrierError("The carrier refused.")
        return await sent_texts(account, *between)

    monkeypatch.setattr(desk.carrier, "find_text", find)
    monkeypatch.setattr(desk.carrier, "sent_texts", listed)
    return messages


async def suspend(desk: TextDesk, messages: list[MessageRow]) -> None:
    async with desk.db.system() as tx:
        await tx.execute(
            "UPDATE message_attempts SET account = 'AC5', started_at = started_at - interval '1 hour' WHERE message_id = ANY ($1)",
            [message.id for message in messages],
        )


async def test_an_account_whose_queries_fail_delays_no_other(desk: TextDesk, suspended: list[MessageRow]) -> None:
    await desk.send()
    await suspend(desk, suspended[:2])
    for sid, text in desk.carrier.texts.items():
        desk.carrier.texts[sid] = replace_status(text, "delivered")
    await desk.later(7 * 3600)
    for _ in range(2):
        await desk.lookups.reconcile()
    assert [(await desk.state(message))[0] for message in suspended] == ["sent", "sent", "delivered"]


async def test_a_status_that_could_not_be_queried_is_queried_again_soon(desk: TextDesk) -> None:
    messages = [await desk.write(contact=f"+1317555019{number}") for number in range(2)]
    await desk.send()
    for sid, text in desk.carrier.texts.items():
        desk.carrier.texts[sid] = replace_status(text, "delivered")
    await desk.later(7 * 3600)
    desk.carrier.fail = CarrierError("away")
    await desk.lookups.reconcile()
    desk.carrier.fail = None
    await desk.lookups.reconcile()
    assert [(await desk.state(message))[0] for message in messages] == ["sent", "sent"], "not at once"
    await desk.later(lookups.QUERY_LEASE.total_seconds())
    await desk.lookups.reconcile()
    assert [(await desk.state(message))[0] for message in messages] == ["delivered", "delivered"]


async def test_statuses_that_a_sweep_claimed_and_did_not_query_are_queried_soon(
    desk: TextDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [await desk.write(contact=f"+1317555019{number}") for number in range(2)]
    await desk.send()
    for sid, text in desk.carrier.texts.items():
        desk.carrier.texts[sid] = replace_status(text, "delivered")
    await desk.later(7 * 3600)

    async def fail(*_: object) -> None:
        raise ConnectionError  # the database is unavailable

    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(text_attempts, "lock", fail)
        await desk.lookups.reconcile()
    await desk.later(lookups.QUERY_LEASE.total_seconds())
    await desk.lookups.reconcile()
    assert [(await desk.state(message))[0] for message in messages] == ["delivered", "delivered"]


async def test_a_status_is_queried_once_per_interval(desk: TextDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.write()
    await desk.send()
    find_text, queried = desk.carrier.find_text, list[str]()

    async def find(sid: str, account: str = "") -> Any:
        queried.append(sid)
        return await find_text(sid, account)

    monkeypatch.setattr(desk.carrier, "find_text", find)
    await desk.later(6 * 3600)
    for seconds in (0.0, lookups.QUERY_LEASE.total_seconds(), 5 * 3600):
        await desk.later(seconds)
        await desk.lookups.reconcile()
    assert len(queried) == 1
    await desk.later(3600)
    await desk.lookups.reconcile()
    assert len(queried) == 2


async def test_an_account_whose_look_ups_fail_delays_no_other(desk: TextDesk, suspended: list[MessageRow]) -> None:
    for _ in suspended:
        await desk.claim()
    await suspend(desk, suspended[:2])
    await desk.later(61)
    for _ in range(2):
        await desk.lookups.look_up_unconfirmed_texts()
        await desk.later(61)
    assert [(await desk.state(message))[2] for message in suspended] == [["posting"], ["posting"], ["absent"]]
