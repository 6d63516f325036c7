"""What fails for one account or one call delays no other."""

from datetime import timedelta

import pytest

from control.clients.twilio import CarrierCall
from hum.clock import now
from hum.contract.errors import CarrierError
from tests.control.conftest import Plane
from tests.control.outbound.desk import Desk

#: More than one step of the sweep looks up, older than any other attempt, of an account whose look-ups fail.
SUSPENDED = """
    INSERT INTO outbound_attempts (id, org_id, call_id, number, account, from_e164, to_e164, status, call_sid, started_at)
    SELECT gen_random_uuid(), a.org_id, a.call_id, a.number + n, 'AC5', a.from_e164, '+1317556' || 1000 + n, a.status,
           'CAbad' || n, a.started_at - interval '1 hour'
      FROM outbound_attempts a, generate_series(1, 60) n
"""


@pytest.fixture
async def desk(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A carrier with a suspended account."""
    desk = Desk(plane)
    await desk.set_up()
    find_call, placed_calls = desk.carrier.find_call, desk.carrier.placed_calls

    async def find(sid: str, account: str = "") -> CarrierCall | None:
        if account == "AC5":
            raise CarrierError("The carrier refused.", carrier_code="20005", carrier_status="401")
        return await find_call(sid, account)

    async def listed(account: str, *between: object) -> list[CarrierCall]:
        if account == "AC5":
            raise CarrierError("The carrier refused.", carrier_code="20005", carrier_status="401")
        return await placed_calls(account, *between)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.carrier, "find_call", find)
    monkeypatch.setattr(desk.carrier, "placed_calls", listed)
    return desk


async def test_an_account_whose_look_ups_fail_delays_no_other(desk: Desk) -> None:
    call = await desk.order()
    _, claimed = await desk.dialler()._claim("")
    assert claimed is not None
    await desk.later(call, 3)
    async with desk.db.system() as tx:
        await tx.execute(SUSPENDED)
    for _ in range(2):
        await desk.dialler().look_up_unconfirmed_attempts()
        await desk.later(call, 3)
    async with desk.db.system() as tx:
        rows = await tx.fetch("SELECT DISTINCT account, status FROM outbound_attempts ORDER BY account")
    assert [tuple(row) for row in rows] == [("", "not_placed"), ("AC5", "dialling")]


async def test_an_account_whose_queries_fail_delays_no_other(desk: Desk) -> None:
    call = await desk.order(ring_seconds=5)
    await desk.dialler().place_due()
    (sid,) = desk.carrier.placed
    desk.carrier.calls[sid] = CarrierCall("no-answer", now(), sid)
    await desk.later(call, 30)
    async with desk.db.system() as tx:
        await tx.execute(SUSPENDED)
    for _ in range(2):
        await desk.dialler(look_up=timedelta(seconds=20)).look_up_unconfirmed_attempts()
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT status FROM outbound_attempts WHERE account = ''") == "no_answer"


# --- calls --------------------------------------------------------------------------------------------------------


async def test_a_call_that_cannot_be_decided_delays_no_other(plane: Plane, desk: Desk) -> None:
    other = await plane.tenant("Other")
    flow, _ = await desk.line(other, "+13175550101")
    await desk.order()
    async with desk.db.system() as tx:
        # Which this machine does not know.
        await tx.execute("UPDATE organizations SET time_zone = 'Mars', voice_quiet_hours_enabled = true")
        await tx.execute("UPDATE outbound_calls SET due_at = due_at - interval '1 minute', honor_quiet_hours = true")
    await desk.order(to="+13175550198", metadata=other, flow_id=flow, honor_quiet_hours=False)
    dialler = desk.dialler()
    for _ in range(2):
        await dialler.place_due()
        await desk.paces()
    assert [placed.to_e164 for placed in desk.carrier.placed.values()] == ["+13175550198"]
    async with desk.db.system() as tx:
        await tx.execute("UPDATE organizations SET time_zone = 'UTC', voice_quiet_hours_enabled = false")
    await dialler.place_due()
    assert len(desk.carrier.placed) == 1, "it is tried again in a minute"
    await desk.dialler().place_due()
    assert len(desk.carrier.placed) == 2


async def test_hours_that_are_unusable_count_as_none(desk: Desk) -> None:
    async with desk.db.system() as tx:
        await tx.execute(
            """UPDATE organizations SET voice_quiet_hours_enabled = true, business_hours_json = '{"time_zone": "Mars"}'"""
        )
    call = await desk.order(honor_quiet_hours=True)
    async with desk.db.system() as tx:
        await tx.execute("UPDATE outbound_calls SET due_at = now()")
    dialler = desk.dialler()
    await dialler.place_due()
    assert not dialler._set_aside() and (len(desk.carrier.placed) == 1 or (await desk.get(call)).waits_for)
