"""Holding, booking, moving and canceling on a real database: one caller gets a time, whatever the others do."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from control.bookings import reserving
from control.retention import usecases
from control.retention.jobs import begin_due_retention
from hum import ids
from hum.clock import now
from hum.contract.errors import Conflict, HoldExpired, InvalidState, TimeTaken
from storage import booking_claims, contacts, erasures
from storage.appointments import Holding
from storage.db import UNAVAILABLE, Db, Tx
from tests.control.bookings.conftest import ANN, Clinic, all_of, open_clinic


async def test_a_time_is_held_booked_moved_and_canceled(clinic: Clinic) -> None:
    held = await clinic.hold(clinic.at(0))
    assert (held.state, held.version, len(held.resources)) == ("held", 0, 2)
    booked = await clinic.book(held.id)
    assert (booked.state, booked.version, booked.name, booked.lease_until) == ("booked", 1, "Ann Lee", None)
    assert await clinic.book(held.id) == booked  # again: the same one
    moved = await clinic.move(held.id, clinic.at(3), version=1)
    assert (moved.starts_at, moved.version, moved.ends_at - moved.starts_at) == (clinic.at(3), 2, timedelta(minutes=30))
    await clinic.book((await clinic.hold(clinic.at(0))).id)  # its old time is free
    canceled = await clinic.cancel(held.id)
    assert (canceled.state, canceled.resources) == ("canceled", [])
    assert await clinic.cancel(held.id) == canceled
    history = await clinic.fetch(
        "SELECT version, state FROM appointment_changes WHERE appointment_id = $1 ORDER BY 1", held.id
    )
    assert history == [(1, "booked"), (2, "booked"), (3, "canceled")]


async def test_a_taken_time_is_refused_and_a_second_dentist_needs_a_second_room(clinic: Clinic) -> None:
    await clinic.hold(clinic.at(0))
    with pytest.raises(TimeTaken):
        await clinic.hold(clinic.at(0))
    assert (await clinic.hold(clinic.at(1))).state == "held"


async def test_what_is_off_the_grid_past_beyond_the_horizon_or_closed_is_refused(clinic: Clinic) -> None:
    for start in (
        clinic.at(0) + timedelta(minutes=7),
        clinic.at(0) - timedelta(days=4),
        clinic.at(0) + timedelta(days=90),
        clinic.at(17),
    ):
        with pytest.raises(TimeTaken):
            await clinic.hold(start)


async def test_a_caller_holds_one_time_and_may_hold_it_again(clinic: Clinic) -> None:
    holding = Holding(holder="call:1")
    first = await clinic.hold(clinic.at(0), holding)
    again = await clinic.hold(clinic.at(0), holding)
    other = await clinic.hold(clinic.at(2), holding)
    assert len({first.id, again.id, other.id}) == 3
    assert await clinic.states() == {"released": 2, "held": 1}
    assert (await clinic.hold(clinic.at(0))).state == "held"
    with pytest.raises(TimeTaken):
        await clinic.hold(clinic.at(0), holding)
    assert (await clinic.states())["held"] == 2  # a refused one keeps what the caller holds


async def test_a_lease_ends_by_the_databases_clock_and_is_renewed_up_to_its_longest(clinic: Clinic) -> None:
    short = Holding(lease=timedelta(seconds=-1), longest=timedelta(seconds=60))
    over = await clinic.hold(clinic.at(0), short)
    with pytest.raises(HoldExpired):
        await clinic.book(over.id)
    with pytest.raises(HoldExpired):
        await clinic.run(lambda tx: reserving.renew(tx, over.id, timedelta(seconds=9)))
    taken = await clinic.hold(clinic.at(0))
    assert (await clinic.states()) == {"expired": 1, "held": 1}
    renewed = await clinic.run(lambda tx: reserving.renew(tx, taken.id, timedelta(days=1)))
    assert renewed.lease_until is not None
    assert renewed.lease_until - taken.created_at < timedelta(minutes=11)


async def test_the_sweep_ends_and_deletes_holds(clinic: Clinic) -> None:
    over = await clinic.hold(clinic.at(0), Holding(lease=timedelta(seconds=-1)))
    live = await clinic.hold(clinic.at(1))
    await reserving.expire(clinic.db)
    assert await clinic.fetch("SELECT id, state FROM appointments ORDER BY starts_at") == [
        (over.id, "expired"),
        (live.id, "held"),
    ]
    assert {row[0] for row in await clinic.fetch("SELECT appointment_id FROM booking_claims")} == {live.id}
    await clinic.fetch(
        "UPDATE appointments SET changed_at = now() - interval '2 days' WHERE id = $1 RETURNING 1", over.id
    )
    await reserving.expire(clinic.db)
    assert await clinic.fetch("SELECT id FROM appointments") == [(live.id,)]


async def test_an_appointment_is_not_released_nor_a_hold_canceled(clinic: Clinic) -> None:
    held = await clinic.hold(clinic.at(0))
    with pytest.raises(InvalidState):
        await clinic.cancel(held.id)
    await clinic.book(held.id)
    with pytest.raises(InvalidState):
        await clinic.run(lambda tx: reserving.release(tx, held.id))


async def test_of_two_who_move_an_appointment_the_second_is_refused(clinic: Clinic) -> None:
    booked = await clinic.book((await clinic.hold(clinic.at(0))).id)
    results, errors = await all_of([clinic.move(booked.id, clinic.at(number), version=1) for number in (2, 4)])
    assert (len(results), [type(error) for error in errors]) == (1, [Conflict])


async def test_many_callers_for_ten_times(clinic: Clinic) -> None:
    """As many callers as fit into the time of a test, from two pools of connections, for ten times."""
    second = await Db.open(clinic.url, size=12, lock_seconds=60, statement_seconds=60)
    other = Clinic(second, clinic.url, clinic.org, clinic.dentists, clinic.room, clinic.service, clinic.morning)

    async def call(number: int) -> bool:
        desk = (clinic, other)[number % 2]
        try:
            held = await desk.hold(clinic.at(number % 10), Holding(holder=f"call:{number}"))
        except TimeTaken:
            return False
        await desk.book(held.id)
        return True

    before = booking_claims.EXCLUSIONS._value.get()
    results, errors = await all_of([call(number) for number in range(200)])
    await second.close()
    assert errors == []
    assert sum(results) == 10
    assert await clinic.states() == {"booked": 10}
    assert await clinic.overlaps() == 0
    assert booking_claims.EXCLUSIONS._value.get() == before


async def test_moves_in_rings_with_cancels_keep_a_claim_for_each_appointment(clinic: Clinic) -> None:
    draw = random.Random(7)
    booked = [await clinic.book((await clinic.hold(clinic.at(number))).id) for number in range(6)]
    desired = [
        (booked[number].id, clinic.at((number + draw.randrange(1, 8)) % 9)) for number in range(6) for _ in range(10)
    ]
    work = [clinic.move(*pair) for pair in desired] + [clinic.cancel(booked[0].id)]
    draw.shuffle(work)
    _, errors = await all_of(work)
    assert {type(error) for error in errors} <= {TimeTaken, Conflict, InvalidState}
    assert (await clinic.states()) == {"booked": 5, "canceled": 1}
    assert await clinic.overlaps() == 0
    rows = await clinic.fetch(
        "SELECT a.id, count(*) FROM appointments a JOIN booking_claims c ON c.appointment_id = a.id"
        " AND c.during = tstzrange(a.starts_at, a.ends_at) GROUP BY a.id"
    )
    assert len(rows) == 5
    assert {count for _, count in rows} == {2}


async def test_booking_at_the_end_of_the_lease_is_either_booked_or_expired(clinic: Clinic) -> None:
    for number in range(30):
        held = await clinic.hold(clinic.at(0), Holding(lease=timedelta(milliseconds=8)))
        await asyncio.sleep(0.001 * (number % 12))
        _, errors = await all_of([clinic.book(held.id), clinic.hold(clinic.at(0)), reserving.expire(clinic.db)])
        rows = await clinic.fetch("SELECT state FROM appointments WHERE id = $1", held.id)
        others = await clinic.fetch("SELECT id FROM appointments WHERE state = 'held' AND id <> $1", held.id)
        if rows == [("booked",)]:
            assert [type(error) for error in errors] == [TimeTaken]
            assert others == []
        else:
            # It stays held until a reservation at its time or a sweep ends it, and can't be booked any more.
            assert rows in ([("expired",)], [("held",)])
            assert HoldExpired in [type(error) for error in errors]
            with pytest.raises(HoldExpired):
                await clinic.book(held.id)
        assert await clinic.overlaps() == 0
        await clinic.fetch("DELETE FROM appointments RETURNING 1")


@pytest.mark.parametrize("step", ["before the claim", "after the claim"])
async def test_a_transaction_that_is_killed_between_its_steps_leaves_what_was(
    clinic: Clinic, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = await clinic.book((await clinic.hold(clinic.at(0))).id)
    server, add = await asyncpg.connect(clinic.url), booking_claims.add

    async def killed(tx: Tx, *args: Any) -> None:
        if step == "after the claim":
            await add(tx, *args)
        await server.fetchval("SELECT pg_terminate_backend($1, 5000)", await tx.fetchval("SELECT pg_backend_pid()"))
        if step == "before the claim":
            await add(tx, *args)

    monkeypatch.setattr(booking_claims, "add", killed)
    for work in (clinic.hold(clinic.at(4)), clinic.move(booked.id, clinic.at(4))):
        with pytest.raises(UNAVAILABLE):
            await work
    monkeypatch.undo()
    await server.close()
    assert await clinic.states() == {"booked": 1}
    assert await clinic.fetch("SELECT DISTINCT appointment_id, version FROM booking_claims") == [(booked.id, 0)]
    assert (await clinic.move(booked.id, clinic.at(4), version=1)).starts_at == clinic.at(4)


async def test_another_organization_books_the_same_times(clinic: Clinic) -> None:
    other = await open_clinic(clinic.db, clinic.url)
    results, errors = await all_of([desk.hold(clinic.at(0)) for desk in (clinic, other)])
    assert (len(results), errors) == (2, [])
    with pytest.raises(Exception, match="no such appointment"):
        await other.book(results[0].id)


async def test_erasing_a_contact_cancels_what_is_to_come_and_blanks_the_rest(clinic: Clinic) -> None:
    async def work(tx: Tx) -> None:
        contact = await contacts.create(tx, ids.new(), ANN.contact_e164 or "", {"name": "Ann"}, None, [])
        await usecases.begin_of_contact(tx, contact.id)

    booked = await clinic.book((await clinic.hold(clinic.at(0))).id)
    over = await clinic.book((await clinic.hold(clinic.at(2))).id)
    await clinic.fetch(
        "UPDATE appointments SET starts_at = now() - interval '2 days', ends_at = now() - interval '47 hours' WHERE id = $1"
        " RETURNING 1",
        over.id,
    )
    await clinic.run(work)
    rows = await clinic.fetch("SELECT id, state, name, contact_e164 FROM appointments ORDER BY starts_at")
    assert rows == [(over.id, "booked", None, None), (booked.id, "canceled", None, None)]
    events = await clinic.fetch("SELECT type FROM events WHERE subject_id = $1", booked.id)
    assert events == [("appointment.canceled",)]
    assert (await clinic.hold(clinic.at(0))).state == "held"


async def test_old_appointments_go_by_the_age_of_their_end(clinic: Clinic) -> None:
    old, young = [await clinic.book((await clinic.hold(clinic.at(number))).id) for number in (0, 2)]
    await clinic.fetch(
        "UPDATE appointments SET starts_at = now() - interval '40 days', ends_at = now() - interval '39 days' WHERE id = $1"
        " RETURNING 1",
        old.id,
    )
    await clinic.fetch("UPDATE organizations SET retention_days = 30 RETURNING 1")
    await begin_due_retention(clinic.db)
    [[erasure]] = await clinic.fetch("SELECT id FROM erasures")

    async def batch(tx: Tx) -> bool:
        row = await erasures.lock_open(tx, UUID(str(erasure)))
        assert row is not None
        return await usecases.delete_batch(tx, row, now())

    while not await clinic.run(batch):
        pass
    assert await clinic.fetch("SELECT id FROM appointments") == [(young.id,)]
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(2,)]
