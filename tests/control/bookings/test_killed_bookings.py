"""Processes that are killed between any two steps of booking, canceling and expiring: all of a step, or nothing of it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from control.bookings import appointing, reserving
from hum import ids
from hum.contract.principal import Principal
from storage.appointments import Holding
from tests.control.bookings.conftest import ANN, Clinic
from tests.support.kills import Killed, kill_after

Work = Callable[[Clinic, UUID], Awaitable[object]]


def staff(clinic: Clinic) -> Principal:
    return Principal(clinic.org, "operator", (), None, None, None, "Desk")


async def book(clinic: Clinic, id: UUID) -> object:
    return await clinic.run(lambda tx: appointing.book(tx, staff(clinic), id, ANN))


async def cancel(clinic: Clinic, id: UUID) -> object:
    return await clinic.run(lambda tx: appointing.cancel(tx, staff(clinic), id, None))


async def expire(clinic: Clinic, _: UUID) -> None:
    await reserving.expire(clinic.db)


#: Each function that is called between two steps, as `module:name`.
BOOKING = ("storage.appointments:book", "storage.events:append", "storage.appointment_conflicts:add_of_booked")
CANCELING = (
    "storage.appointments:change_state",
    "storage.booking_claims:delete",
    "storage.appointment_conflicts:resolve_all",
    "storage.events:append",
)
EXPIRING = ("storage.booking_claims:delete", "storage.appointments:expire")


async def seen(clinic: Clinic) -> list[tuple[object, ...]]:
    """All that a booking, a cancellation or an expiry changes."""
    return [
        *await clinic.fetch("SELECT state, version, name FROM appointments ORDER BY id"),
        *await clinic.fetch("SELECT appointment_id, version FROM booking_claims ORDER BY 1, 2"),
        *await clinic.fetch("SELECT version, state FROM appointment_changes ORDER BY 1"),
        *await clinic.fetch("SELECT type FROM events ORDER BY id"),
    ]


async def require_all_or_nothing(clinic: Clinic, id: UUID, work: Work, step: str, patch: pytest.MonkeyPatch) -> None:
    before = await seen(clinic)
    kills = kill_after(patch, step, frozenset({1}))
    with pytest.raises(Killed):
        await work(clinic, id)
    patch.undo()
    assert kills["kills"] == 1
    assert await seen(clinic) == before
    await work(clinic, id)
    after = await seen(clinic)
    assert after != before
    await work(clinic, id)  # whose answer was lost asks again
    assert await seen(clinic) == after


@pytest.mark.parametrize("step", BOOKING)
async def test_killed_while_it_books(clinic: Clinic, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = await clinic.hold(clinic.at(0))
    await require_all_or_nothing(clinic, held.id, book, step, monkeypatch)
    assert await clinic.states() == {"booked": 1}
    assert await clinic.fetch("SELECT type FROM events") == [("appointment.booked",)]


@pytest.mark.parametrize("step", CANCELING)
async def test_killed_while_it_cancels(clinic: Clinic, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    booked = await clinic.book((await clinic.hold(clinic.at(0))).id)
    await require_all_or_nothing(clinic, booked.id, cancel, step, monkeypatch)
    assert await clinic.states() == {"canceled": 1}
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(0,)]
    assert await clinic.fetch("SELECT type FROM events") == [("appointment.canceled",)]


@pytest.mark.parametrize("step", EXPIRING)
async def test_killed_while_holds_expire(clinic: Clinic, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over = await clinic.hold(clinic.at(0), Holding(lease=timedelta(seconds=-1), holder=f"call:{ids.new()}"))
    await require_all_or_nothing(clinic, over.id, expire, step, monkeypatch)
    assert await clinic.states() == {"expired": 1}
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(0,)]
