"""Sending texts: each attempt once, whatever dies between its moments; order, pace, and who goes first."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from control.clients.twilio import CarrierText, Text
from control.texts.claims import TextClaim
from control.texts.sender import NumberQueue, TextSender
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierBusy, CarrierError
from storage import contacts
from tests.control.conftest import FakeCarrier
from tests.control.texts.conftest import CONTACT, NUMBER, Texting
from tests.control.texts.desk import LIMITS, TextDesk, paced
from tests.support.metrics import sample
from tests.support.present import present
from tests.support.waits import patience, until


class Killed(BaseException):
    """The process dies here: no code of its own runs any more."""


@pytest.fixture
async def desk(texting: Texting) -> TextDesk:
    return TextDesk(texting)


async def test_a_text_is_sent_once_with_what_the_carrier_needs(desk: TextDesk) -> None:
    message = await desk.write("Hello", media_urls=["https://x.example/a.png"])
    await desk.send()
    await desk.send()
    ((sid, text),) = desk.carrier.texted.items()
    assert (text.from_e164, text.to_e164, text.body, list(text.media_urls)) == (
        NUMBER, CONTACT, "Hello", ["https://x.example/a.png"],
    )  # fmt: skip
    assert text.status_url.startswith("https://hum.example/twilio/sms/status/send_")
    assert 35_000 < text.validity_seconds <= 36_000
    assert await desk.state(message) == ("sent", None, ["accepted"])
    row = await desk.row(message)
    assert (row["carrier_sid"], row["due_at"]) == (sid, None) and row["sent_at"] is not None
    assert await desk.events(message) == ["sms.sent"]
    await desk.says(sid, "delivered")
    assert (await desk.state(message))[0] == "delivered"
    assert await desk.events(message) == ["sms.sent", "sms.delivered"]


# --- crashes ------------------------------------------------------------------------------------------------------


async def test_killed_before_the_carrier_was_asked(desk: TextDesk) -> None:
    """The attempt is committed, and nothing came of it: after two looks the text is sent, once."""
    message = await desk.write()
    (claimed,) = (await desk.claim()).attempts  # and here it dies
    await desk.send()
    assert not desk.bodies, "whether it was sent is unknown"
    for _ in range(2):
        assert (await desk.state(message))[2] == ["posting"]
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("queued", None, ["absent"])
    await desk.send()
    assert desk.bodies == ["Hello"]
    assert await desk.state(message) == ("sent", None, ["absent", "accepted"])
    # The process was not dead but stood still: it wakes up, and does not send.
    await desk.poster().send(replace(claimed, began_ms=claimed.began_ms - 2_001))
    assert desk.bodies == ["Hello"]


@pytest.mark.parametrize("callback_first", [False, True])
async def test_killed_after_the_carrier_was_asked(desk: TextDesk, *, callback_first: bool) -> None:
    """The carrier has the text, and nobody recorded it: a look or a callback tells, and it is never sent again."""
    message = await desk.write()
    desk.carrier.lose_texts = [Killed()]
    (claimed,) = (await desk.claim()).attempts
    with pytest.raises(Killed):
        await desk.poster().send(claimed)
    (sid,) = desk.carrier.texted
    if callback_first:
        await desk.says(sid, "sent")
    else:
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("sent", None, ["accepted"])
    await desk.later(61)
    await desk.lookups.look_up_unconfirmed_texts()
    await desk.send()
    assert list(desk.carrier.texted) == [sid]
    assert await desk.events(message) == ["sms.sent"]


@pytest.mark.parametrize("step", ["claimed", "posting", "posted", "recorded"])
async def test_a_process_that_dies_at_a_step_sends_nothing_twice(desk: TextDesk, step: str) -> None:
    message, other = await desk.write("One"), await desk.write("Two")

    async def die(reached: str) -> None:
        if reached == step:
            raise Killed

    dying = desk.sender(at_step=die)
    with pytest.raises((Killed, BaseExceptionGroup)) if step == "claimed" else contextlib.nullcontext():
        claim = await desk.claim()
        await dying._poster.at_step("claimed")
        for claimed in claim.attempts:
            with contextlib.suppress(Killed):
                await dying._poster.send(claimed)
    for _ in range(4):
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
        await desk.send()
    assert desk.bodies == ["One", "Two"]
    assert (await desk.state(message))[0] == (await desk.state(other))[0] == "sent"


async def test_a_lost_answer_is_looked_up_at_once(desk: TextDesk) -> None:
    message = await desk.write()
    desk.carrier.lose_texts = [CarrierError("The carrier did not respond: TimeoutError.")]
    await desk.send()
    assert desk.bodies == ["Hello"] and await desk.state(message) == ("sent", None, ["accepted"])


async def test_nobody_can_tell(desk: TextDesk) -> None:
    """The carrier's list can't be had for long: the text is unknown, and is never sent again; a callback tells after all."""
    message = await desk.write()
    desk.carrier.lose_texts = [CarrierError("", http_status="503")]
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.send()
    await desk.later(120)
    await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("queued", None, ["posting"])
    await desk.later(3600)
    await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("unknown", None, ["unknown"])
    await desk.send()
    assert desk.bodies == ["Hello"]
    await desk.says(next(iter(desk.carrier.texted)), "delivered")
    assert await desk.state(message) == ("delivered", None, ["accepted"])
    assert await desk.events(message) == ["sms.sent", "sms.delivered"]


async def test_a_text_that_nobody_sends_is_seen_by_its_age_and_an_unknown_one_is_counted(desk: TextDesk) -> None:
    """What the alerts HumTextsWait and HumTextsUnknown ask: a queue that takes texts and sends none looks well otherwise."""
    message = await desk.write()
    await desk.write("later", contact="+13175551235", scheduled_at=now() + timedelta(hours=3))
    await desk.later(90)
    await desk.lookups.look_up_unconfirmed_texts()
    assert 90 <= measured("hum_texts_waiting_seconds") < 3600
    desk.carrier.lose_texts = [CarrierError("", http_status="503")]
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.send()
    await desk.later(3600)
    for _ in range(2):
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
    await desk.lookups.look_up_unconfirmed_texts()
    assert (await desk.state(message))[0] == "unknown"
    assert (measured("hum_texts_waiting_seconds"), measured("hum_texts_unknown")) == (0, 1)


def measured(name: str) -> float:
    value = sample(name)
    assert value is not None, f"nobody measures {name}"
    return value


async def test_the_carrier_has_a_text_after_all(desk: TextDesk) -> None:
    """It said twice that it has none, and its callback comes before another attempt: none is made."""
    message = await desk.write()
    (claimed,) = (await desk.claim()).attempts
    for _ in range(2):
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("queued", None, ["absent"])
    desk.carrier.texted["SMghost"] = desk.poster()._text(claimed)
    await desk.says("SMghost", "sent")
    assert await desk.state(message) == ("sent", None, ["accepted"])
    await desk.send()
    assert list(desk.carrier.texted) == ["SMghost"]


async def test_an_older_text_with_the_same_words_is_not_taken_for_the_lost_one(desk: TextDesk) -> None:
    await desk.write("Hi")
    await desk.send()
    second = await desk.write("Hi")
    assert (await desk.claim()).attempts
    strange = CarrierText("SMelse", "sent", None, 1, "Other words", NUMBER, CONTACT, now())
    desk.carrier.texts["SMelse"] = strange
    desk.carrier.texted["SMelse"] = next(iter(desk.carrier.texted.values()))
    for _ in range(2):
        await desk.later(61)
        await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(second) == ("queued", None, ["absent"])


# --- refusals and the pace ----------------------------------------------------------------------------------------


async def test_a_refusal_is_final(desk: TextDesk) -> None:
    message = await desk.write()
    desk.carrier.refuse_texts = [CarrierError("The carrier refused", carrier_code="21211", carrier_status="400")]
    await desk.send()
    assert await desk.state(message) == ("failed", "21211", ["rejected"])
    assert await desk.events(message) == ["sms.failed"]
    await desk.send()
    assert not desk.bodies


async def test_a_contact_that_replied_stop_is_opted_out_and_changes_one_row(desk: TextDesk) -> None:
    messages = [await desk.write(contact=f"+1317555{2000 + n}") for n in range(3)]
    desk.carrier.refuse_texts = [CarrierError("The carrier refused", carrier_code="21610", carrier_status="400")]
    await desk.send()
    states = sorted([(await desk.state(each))[:2] for each in messages], key=str)
    assert states == [("opted_out", "21610"), ("sent", None), ("sent", None)]
    async with desk.db.system() as tx:
        (out,) = await tx.fetch("SELECT contact_e164, source, carrier_blocked FROM opt_outs WHERE opted_out")
        events = await tx.fetchval("SELECT count(*) FROM events WHERE type = 'sms.opt_out'")
    assert out["source"] == "carrier" and out["carrier_blocked"] and events == 1
    again = await desk.write(contact=out["contact_e164"])
    assert again.status == "opted_out"


@pytest.mark.parametrize(
    "error",
    [
        CarrierBusy(0.01),
        CarrierError("", not_sent="true"),
        CarrierError("", carrier_status="401"),
        CarrierBusy(0.01, "21611"),
    ],
)
async def test_a_carrier_that_takes_no_text_is_asked_again_later(desk: TextDesk, error: CarrierError) -> None:
    """And the order of the thread is kept."""
    first, second = await desk.write("One"), await desk.write("Two")
    desk.carrier.refuse_texts = [error, error]
    async with patience():
        while len(desk.bodies) < 2:
            await desk.send()
            await asyncio.sleep(0.01)
    assert desk.bodies == ["One", "Two"]
    assert await desk.state(first) == ("sent", None, ["withdrawn", "accepted"]), (
        "the latest of the withdrawn ones is kept"
    )
    assert await desk.state(second) == ("sent", None, ["accepted"])


async def test_a_number_that_was_too_fast_is_slower_for_a_while(desk: TextDesk) -> None:
    await desk.write()
    desk.carrier.refuse_texts = [CarrierBusy(5)]
    await desk.send(paces=paced(10.0))
    await desk.later(6)
    await desk.send()
    async with desk.db.system() as tx:
        next_at, setbacks = present(await tx.fetchrow("SELECT next_at, setbacks FROM text_paces"))
    _, begun = await desk.attempts()
    assert desk.bodies == ["Hello"] and setbacks == 1
    assert (next_at - begun["started_at"]).total_seconds() >= 0.2, "a segment takes twice as long"
    await desk.later(61)
    await desk.write("Again")
    await desk.send()
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT setbacks FROM text_paces") == 0


async def test_a_number_that_is_not_registered_stops_and_keeps_its_texts(desk: TextDesk) -> None:
    messages = [await desk.write(contact=f"+1317555{2000 + n}") for n in range(3)]
    fault = CarrierError("The carrier refused", carrier_code="30034", carrier_status="400")
    desk.carrier.refuse_texts = [fault] * 3
    await desk.send()
    await desk.later(60)
    await desk.send()
    assert not desk.bodies and {(await desk.state(each))[0] for each in messages} == {"queued"}
    desk.carrier.refuse_texts = []
    await desk.later(900)
    await desk.send()
    assert len(desk.bodies) == 3


async def test_a_number_is_never_faster_than_its_pace_in_segments(desk: TextDesk) -> None:
    """Over any window, whichever process sends: here two at once.  A text of three segments takes three times as long."""
    rate = 20.0
    for n in range(6):
        await desk.write("x" * 400 if n % 2 else "x", contact=f"+1317555{2000 + n}")
    async with patience():
        while len(desk.bodies) < 6:
            await asyncio.gather(desk.send(paces=paced(rate)), desk.send())
    begun = await desk.attempts()
    async with desk.db.system() as tx:
        segments = {row["id"]: row["segments"] for row in await tx.fetch("SELECT id, segments FROM messages")}
    for n, attempt in enumerate(begun):
        sent, since = 0, attempt["started_at"]
        for later in begun[n + 1 :]:
            sent += segments[begun[begun.index(later) - 1]["message_id"]]
            assert (later["started_at"] - since).total_seconds() >= sent / rate - 0.02


# --- whose turn ---------------------------------------------------------------------------------------------------


class Slow(FakeCarrier):
    """Takes its time, so that many are under way at once."""

    now = 0
    most = 0

    async def send_text(self, text: Text) -> CarrierText:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return await super().send_text(text)


async def test_a_threads_texts_keep_their_order(desk: TextDesk) -> None:
    """However the carrier dawdles; a text that is scheduled for later blocks nobody."""
    desk.carrier = Slow()
    await desk.write("later", scheduled_at=now() + timedelta(hours=1))
    for n in range(5):
        await desk.write(str(n))
        await desk.write(str(n), contact="+13175552000")
    await asyncio.gather(desk.send(), desk.sender().send_due())
    for contact in (CONTACT, "+13175552000"):
        assert [each.body for each in desk.carrier.texted.values() if each.to_e164 == contact] == list("01234")
    assert desk.carrier.most == 2, "two threads, side by side"


async def test_conversations_go_before_campaigns(desk: TextDesk) -> None:
    for n in range(20):
        await desk.write("campaign", "campaign", contact=f"+1317555{2000 + n}")
    for n in range(3):
        await desk.write("talk", contact=f"+1317555{3000 + n}")
    await desk.send(paces=paced(200.0), quantum_seconds=0.005)
    assert desk.bodies == ["talk"] * 3 + ["campaign"] * 20


async def test_many_texts_of_one_number_leave_room_to_others(desk: TextDesk) -> None:
    desk.carrier = Slow()
    for n in range(60):
        await desk.write("campaign", "campaign", contact=f"+1317555{2000 + n}")
    sending = asyncio.create_task(desk.send(width=8, campaign_width=6, number_width=4))
    async with patience():
        while len(desk.bodies) < 8:
            await asyncio.sleep(0.001)
    await sending
    assert desk.carrier.most <= 4 and len(desk.bodies) == 60


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (
            "WITH closed AS (UPDATE conversations SET status = 'closed') UPDATE messages SET status = 'scheduled'",
            ("canceled", "closed"),
        ),
        ("UPDATE numbers SET sms_enabled = false", ("failed", "number_off")),
        ("DELETE FROM numbers", ("failed", "number_off")),
        ("UPDATE messages SET expires_at = now()", ("expired", "expired")),
        (
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) SELECT org_id, contact_e164, true, 'api' FROM messages",
            ("opted_out", "opted_out"),
        ),
    ],
)
async def test_what_changed_meanwhile_is_heeded(desk: TextDesk, change: str, ends: tuple[str, str]) -> None:
    message = await desk.write()
    async with desk.db.system() as tx:
        await tx.execute(change)
    await desk.send()
    assert await desk.state(message) == (*ends, []) and not desk.bodies
    assert await desk.events(message) == (["sms.failed"] if ends[0] == "failed" else [])


async def test_a_goodbye_leaves_although_its_thread_was_closed_at_once(desk: TextDesk) -> None:
    await desk.write("Goodbye.")
    async with desk.db.system() as tx:
        await tx.execute("UPDATE conversations SET status = 'closed'")
    await desk.send()
    assert desk.bodies == ["Goodbye."]


async def test_hours_that_closed_meanwhile_are_waited_for(desk: TextDesk) -> None:
    message = await desk.write(honors_hours=True)
    tomorrow = (now() + timedelta(days=2)).strftime("%a").lower()
    async with desk.db.system() as tx:
        hours = json.dumps({"weekly": {tomorrow: [["09:00", "17:00"]]}})
        await tx.execute("UPDATE organizations SET business_hours_json = $1", hours)
        await tx.execute("UPDATE messages SET expires_at = now() + interval '9 days'")
    await desk.send()
    row = await desk.row(message)
    assert (row["status"], row["held_by"], row["source"]) == ("scheduled", "organization_hours", "quiet_hours")
    assert row["due_at"] > now() and not desk.bodies


async def test_a_text_that_the_carrier_keeps_is_not_sent_after_the_hours(desk: TextDesk) -> None:
    at = now()
    closes = (at + timedelta(hours=1)).replace(second=0, microsecond=0)
    days = {each: [["00:00", closes.strftime("%H:%M")]] for each in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    if closes.date() != at.date():
        days = {each: [["12:00", closes.strftime("%H:%M")]] for each in days}
    async with desk.db.system() as tx:
        await tx.execute("UPDATE organizations SET business_hours_json = $1", json.dumps({"weekly": days}))
    await desk.write(honors_hours=True)
    await desk.write("At any hour", contact="+13175552000")
    await desk.send()
    validities = {each.body: each.validity_seconds for each in desk.carrier.texted.values()}
    assert 3500 < validities["Hello"] + 60 <= 3661 and validities["At any hour"] > 35_000


async def test_a_scheduled_text_leaves_at_its_time_and_is_then_the_threads_latest(desk: TextDesk) -> None:
    message = await desk.write("Later", scheduled_at=now() + timedelta(hours=1))
    await desk.send()
    assert not desk.bodies
    await desk.later(3700)
    await desk.send()
    assert (await desk.state(message))[0] == "sent"
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT last_message_preview FROM conversations") == "Later"


async def test_after_a_long_rest_nothing_is_sent_too_late(desk: TextDesk) -> None:
    at = now()
    message = await desk.write("Lunch?", scheduled_at=at + timedelta(hours=1), expires_at=at + timedelta(hours=2))
    await desk.later(3 * 3600)
    await desk.send()
    assert await desk.state(message) == ("expired", "expired", []) and not desk.bodies


async def test_after_a_night_without_workers_one_look_in_vain_decides_nothing(desk: TextDesk) -> None:
    """The time after which a text is unknown runs while it is looked for, and not while nobody was there to look."""
    message = await desk.write()
    assert (await desk.claim()).attempts
    await desk.later(12 * 3600)
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("queued", None, ["posting"])
    await desk.later(3700)
    await desk.lookups.look_up_unconfirmed_texts()
    assert await desk.state(message) == ("unknown", None, ["unknown"])


@pytest.mark.parametrize("code", ["21211", "21614"])
async def test_a_number_that_cant_be_texted_flags_its_contact_until_a_text_arrives(desk: TextDesk, code: str) -> None:
    async with desk.db.system() as tx:
        await contacts.find_or_create(tx, ids.new(), desk.org, CONTACT, None)
    desk.carrier.refuse_texts = [CarrierError("", carrier_status="400", carrier_code=code)]
    message = await desk.write()
    await desk.send()
    assert await desk.state(message) == ("failed", code, ["rejected"])
    assert await flagged(desk) == code
    await desk.write("Again")
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "delivered")
    assert await flagged(desk) is None


async def flagged(desk: TextDesk) -> str | None:
    async with desk.db.system() as tx:
        code: str | None = await tx.fetchval("SELECT untextable_code FROM contacts")
    return code


async def test_a_region_that_is_not_allowed_is_told_of_once_a_day(desk: TextDesk) -> None:
    desk.carrier.refuse_texts = [CarrierError("", carrier_status="400", carrier_code="21408") for _ in range(3)]
    for contact in ("+4930123456", "+4930123457", "+33142685300"):
        await desk.write(contact=contact)
    await desk.send()
    async with desk.db.system() as tx:
        rows = await tx.fetch("SELECT data FROM events WHERE type = 'sms.region_refused'")
    assert sorted(json.loads(row["data"])["region"] for row in rows) == ["DE", "FR"]


class NoTexts:
    async def claim(self, *_: object) -> TextClaim:
        return TextClaim([], None)


async def test_a_line_that_has_ended_is_not_woken_in_the_place_of_one_that_waits() -> None:
    sender = TextSender(cast("Any", None), cast("Any", NoTexts()), cast("Any", None), LIMITS)
    waiting = NumberQueue("+13175550002")
    sender._blocked = {"+13175550001": NumberQueue("+13175550001"), waiting.number_e164: waiting}
    # It has found capacity by itself, and nothing to send.
    sender._begin_line("+13175550001")
    await until(lambda: not sender._lines)
    assert waiting.woken.is_set() and not sender._blocked
