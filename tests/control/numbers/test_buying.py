"""Buying numbers, with a carrier that fails at the worst moment."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc import aio

from control.clients.twilio import CarrierNumber, Webhooks
from hum.contract.errors import CarrierError
from hum.v1 import numbers_pb2
from storage import numbers
from tests.control.numbers.desk import BUSY, NO, NUMBER, SILENCE, Desk, code, principal_of, sync
from tests.support.metrics import sample


async def test_a_number_is_bought_pointed_and_written_down(desk: Desk) -> None:
    number = await desk.buy()
    assert (number.e164, number.status) == (NUMBER, numbers_pb2.NUMBER_STATUS_ACTIVE)
    assert desk.carrier.numbers[NUMBER].webhooks == Webhooks.at(desk.plane.settings.public_url)
    assert (desk.carrier.bought, await desk.numbers(), await desk.attempts()) == ([NUMBER], [NUMBER], ["bought"])
    assert await desk.audited("buyNumber") == 1
    await desk.sweep()
    assert desk.carrier.bought == [NUMBER]


async def test_what_the_carrier_refuses_costs_nothing(desk: Desk) -> None:
    desk.carrier.refuse_orders = NO
    with pytest.raises(aio.AioRpcError) as refused:
        await desk.buy()
    assert code(refused) is grpc.StatusCode.UNAVAILABLE
    desk.carrier.refuse_orders = None
    with pytest.raises(aio.AioRpcError) as gone:
        await desk.buy("+13175559999")
    assert code(gone) is grpc.StatusCode.ABORTED
    assert (await desk.attempts(), await desk.numbers()) == (["failed", "failed"], [])
    assert (await desk.buy()).e164 == NUMBER  # and the number can be tried again


async def test_a_flow_that_is_not_ones_own_is_refused_before_the_carrier_is_asked(desk: Desk) -> None:
    for bad in ({"flow_id": "flow_x"}, {"sms_flow_id": "flow_" + "0" * 26}):
        with pytest.raises(aio.AioRpcError) as refused:
            await desk.buy(**bad)
        assert code(refused) is grpc.StatusCode.INVALID_ARGUMENT
    assert (desk.carrier.bought, await desk.attempts()) == ([], [])


@pytest.mark.parametrize("lost", [SILENCE, BUSY])
async def test_an_answer_that_got_lost_is_looked_up(desk: Desk, lost: CarrierError) -> None:
    desk.carrier.lose_answers = lost
    assert (await desk.buy()).e164 == NUMBER
    assert (desk.carrier.bought, await desk.numbers()) == ([NUMBER], [NUMBER])


async def test_an_order_whose_fate_is_unknown_is_looked_up_later(desk: Desk) -> None:
    carrier = desk.carrier
    find = carrier.find_number
    carrier.lose_answers = SILENCE

    async def away(e164: str) -> CarrierNumber | None:
        if carrier.bought:
            raise SILENCE
        return await find(e164)

    carrier.find_number = away  # type: ignore[method-assign]  # from the order on the carrier is away altogether
    with pytest.raises(aio.AioRpcError):
        await desk.buy()
    assert await desk.attempts() == ["buying"]
    await desk.sweep()
    assert await desk.attempts() == ["buying"]  # still away
    carrier.find_number, carrier.lose_answers = find, None  # type: ignore[method-assign]
    await asyncio.gather(*(desk.sweep() for _ in range(4)))
    assert (carrier.bought, await desk.numbers(), await desk.attempts()) == ([NUMBER], [NUMBER], ["bought"])
    assert await desk.audited("buyNumber") == 1


async def test_an_order_that_never_arrived_is_given_up(desk: Desk) -> None:
    desk.carrier.refuse_orders = SILENCE
    with pytest.raises(aio.AioRpcError):
        await desk.buy()
    assert await desk.attempts() == ["buying"]
    with pytest.raises(aio.AioRpcError) as busy:  # the outcome is unknown: it is not tried again meanwhile
        await desk.buy()
    assert code(busy) is grpc.StatusCode.ABORTED
    desk.carrier.refuse_orders = None
    await desk.sweep()
    assert (await desk.attempts(), await desk.numbers(), desk.carrier.bought) == (["failed"], [], [])


@pytest.mark.parametrize("moment", ["buy_number", "find_number", "write"])
async def test_a_crash_at_any_moment_pays_once_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The request ends like one of a process that dies: nothing that it would have done afterwards is done."""

    class Killed(BaseException):
        pass

    async def die(*_: Any, **__: Any) -> Any:
        raise Killed

    if moment == "write":
        monkeypatch.setattr("storage.numbers.create", die)
    elif moment == "find_number":
        desk.carrier.lose_answers, find = SILENCE, desk.carrier.find_number

        async def die_when_bought(e164: str) -> CarrierNumber | None:
            return await (die() if desk.carrier.bought else find(e164))

        monkeypatch.setattr(desk.carrier, "find_number", die_when_bought)
    else:
        bought = desk.carrier.buy_number

        async def bought_and_dead(e164: str, webhooks: Webhooks) -> CarrierNumber | None:
            await bought(e164, webhooks)
            raise Killed

        monkeypatch.setattr(desk.carrier, "buy_number", bought_and_dead)
    with pytest.raises(Killed):
        await desk.purchases.buy(
            await principal_of(desk),
            numbers_pb2.BuyNumberRequest(e164=NUMBER),
            request_id="r",
            key="k",
            body_hash=b"h",
        )
    monkeypatch.undo()
    desk.carrier.lose_answers = None
    assert await desk.attempts() == ["buying"]
    await desk.sweep()
    assert (desk.carrier.bought, await desk.numbers(), await desk.attempts()) == ([NUMBER], [NUMBER], ["bought"])


@pytest.mark.parametrize("error", [RuntimeError("a bug"), SILENCE, TypeError("an answer of a strange shape")])
async def test_one_row_that_fails_stops_no_other(desk: Desk, error: Exception) -> None:
    """Two purchases and two releases are left unfinished; for one of each, the carrier's answer can't be read."""
    carrier, failed = desk.carrier, [measured("purchases"), measured("releases")]
    released = [await desk.buy(f"+1317555020{n}") for n in (1, 2)]
    carrier.lose_answers = SILENCE
    for number in released:
        with pytest.raises(aio.AioRpcError):
            await desk.release(number)
    find, release = carrier.find_number, carrier.release_number

    async def away(e164: str) -> CarrierNumber | None:
        if e164 in carrier.bought:
            raise SILENCE
        return await find(e164)

    carrier.find_number = away  # type: ignore[method-assign]
    for n in (3, 4):
        with pytest.raises(aio.AioRpcError):
            await desk.buy(f"+1317555020{n}")
    carrier.lose_answers = None

    async def found(e164: str) -> CarrierNumber | None:
        if e164 == "+13175550203":
            raise error
        return await find(e164)

    async def release_all_but_one(sid: str) -> None:
        if sid == "PN+13175550201":
            raise error
        await release(sid)

    carrier.find_number, carrier.release_number = found, release_all_but_one  # type: ignore[method-assign]
    await desk.sweep()
    assert await desk.numbers() == ["+13175550201", "+13175550204"]
    assert sorted(await desk.attempts()) == ["bought", "bought", "bought", "buying"]
    assert [measured("purchases"), measured("releases")] == [count + 1 for count in failed]


def measured(sweep: str) -> float:
    return sample("hum_swept_rows_failed_total", {"sweep": sweep}) or 0


async def test_a_number_that_an_operator_gave_away_meanwhile_stays_where_it_is(desk: Desk) -> None:
    other, bought = Desk(desk.plane, await desk.plane.tenant("Other")), desk.carrier.buy_number

    async def overtaken(e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        held = await bought(e164, webhooks)
        await other.be_assigned(e164)
        return held

    desk.carrier.buy_number = overtaken  # type: ignore[method-assign]
    with pytest.raises(aio.AioRpcError) as taken:
        await desk.buy()
    assert (code(taken), taken.value.details()) == (grpc.StatusCode.ABORTED, "The number is not for sale.")
    assert (await desk.attempts(), desk.carrier.released) == (["failed"], [])
    assert (await desk.numbers(), await other.numbers(), await desk.audited("buyNumber")) == ([], [NUMBER], 0)


async def test_a_number_that_can_not_be_written_down_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from hum.contract.errors import AlreadyExists

    async def taken(*_: Any) -> None:
        raise AlreadyExists

    monkeypatch.setattr("storage.numbers.create", taken)
    with pytest.raises(aio.AioRpcError) as refused:
        await desk.buy()
    assert code(refused) is grpc.StatusCode.ABORTED
    assert (await desk.attempts(), desk.carrier.released) == (["returned"], [f"PN{NUMBER}"])
    assert (await desk.numbers(), await desk.audited("buyNumber")) == ([], 0)


@pytest.mark.parametrize("lost", [None, SILENCE])
async def test_a_number_that_is_being_given_back_is_given_to_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lost: CarrierError | None
) -> None:
    """An operator assigns it at the very moment at which the carrier is asked to take it back."""
    from hum.contract.errors import AlreadyExists

    other, released = Desk(desk.plane, await desk.plane.tenant("Other")), desk.carrier.release_number
    assigned = list[str]()

    async def taken(*_: Any) -> None:
        raise AlreadyExists

    async def overtaken(sid: str) -> None:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr("storage.numbers.create", create)
            try:
                await other.be_assigned(NUMBER)
                assigned.append("other")
            except AlreadyExists:
                assigned.append("nobody")
        await desk.sweep_releases()
        await released(sid)

    create = numbers.create
    monkeypatch.setattr("storage.numbers.create", taken)
    desk.carrier.release_number, desk.carrier.lose_answers = overtaken, lost  # type: ignore[method-assign]
    with pytest.raises(aio.AioRpcError):
        await desk.buy()
    desk.carrier.release_number, desk.carrier.lose_answers = released, None  # type: ignore[method-assign]
    await desk.sweep()
    assert (assigned, await other.numbers(), await desk.numbers()) == (["nobody"], [], [])
    assert (await desk.attempts(), set(desk.carrier.released)) == (["returned"], {f"PN{NUMBER}"})
    assert NUMBER not in desk.carrier.numbers


async def test_a_number_that_another_organization_lost_is_given_back(desk: Desk) -> None:
    """It has the number still, under an older SID."""
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    before = await other.buy()
    await desk.carrier.release_number(f"PN{NUMBER}")
    await sync(other)
    async with desk.plane.control.db.system() as tx:
        await tx.execute("UPDATE numbers SET carrier_sid = 'PNbefore'")
    desk.carrier.released.clear()
    desk.carrier.on_sale.add(NUMBER)
    with pytest.raises(aio.AioRpcError):
        await desk.buy()
    assert (await desk.attempts(), desk.carrier.released) == (["bought", "returned"], [f"PN{NUMBER}"])
    assert (await desk.numbers(), await other.numbers()) == ([], [before.e164])


async def test_giving_back_is_tried_until_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from hum.contract.errors import AlreadyExists

    async def taken(*_: Any) -> None:
        raise AlreadyExists

    monkeypatch.setattr("storage.numbers.create", taken)
    released = desk.carrier.release_number

    async def away(sid: str) -> None:
        raise SILENCE

    desk.carrier.release_number = away  # type: ignore[method-assign]
    with pytest.raises(aio.AioRpcError):
        await desk.buy()
    assert await desk.attempts() == ["returning"]
    await desk.sweep()
    assert await desk.attempts() == ["returning"]
    desk.carrier.release_number = released  # type: ignore[method-assign]
    await desk.sweep()
    assert (await desk.attempts(), desk.carrier.released) == (["returned"], [f"PN{NUMBER}"])


async def test_a_registration_that_is_refused_changes_nothing_at_the_carrier(desk: Desk) -> None:
    number = numbers_pb2.Number(e164="+13175550100")
    for bad in (numbers_pb2.Number(e164="+13175550100", flow_id="flow_x"), numbers_pb2.Number(e164="+13175559999")):
        with pytest.raises(aio.AioRpcError):
            await desk.stub.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=bad), metadata=desk.who)
    assert (desk.carrier.pointed, await desk.audited("registerNumber")) == ({}, 0)
    request = numbers_pb2.RegisterNumberRequest(number=number)
    results = await asyncio.gather(
        *(desk.stub.RegisterNumber(request, metadata=desk.who) for _ in range(2)), return_exceptions=True
    )
    refused = [each.code() for each in results if isinstance(each, aio.AioRpcError)]
    assert (refused, await desk.audited("registerNumber")) == ([grpc.StatusCode.ALREADY_EXISTS], 1)
