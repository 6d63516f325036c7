"""Holding numbers: what is another organization's, who pays, giving back, comparing; and what waits for the carrier."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc import aio

from control.clients.twilio import CarrierNumber, Webhooks
from control.numbers import usecases
from control.numbers.purchases import NumberQuota
from hum.contract.errors import CarrierError, PlanLimit
from hum.v1 import numbers_pb2
from tests.control.numbers.desk import NO, NUMBER, SILENCE, Desk, code, principal_of, refusal, sync
from tests.control.test_flows import reason


async def test_nothing_is_open_while_the_carrier_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection held while waiting for the carrier is missing from the pool, and keeps its locks as long."""
    asked: list[str] = []

    def watched(name: str) -> Any:
        method = getattr(desk.carrier, name)

        async def ask(*arguments: Any) -> Any:
            async with desk.plane.control.db.system() as tx:
                open_now = await tx.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                    " AND application_name LIKE 'hum_%'"
                )
            assert open_now == 0, name
            asked.append(name)
            return await method(*arguments)

        return ask

    for name in ("find_number", "list_numbers", "offers", "buy_number", "release_number", "point_number"):
        monkeypatch.setattr(desk.carrier, name, watched(name))
    number = numbers_pb2.Number(e164="+13175550100")
    await desk.stub.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=number), metadata=desk.who)
    await desk.stub.ListAvailableNumbers(numbers_pb2.ListAvailableNumbersRequest(country="US"), metadata=desk.who)
    await desk.release(await desk.buy())
    await sync(desk)
    assert {*asked} == {"find_number", "list_numbers", "offers", "buy_number", "release_number", "point_number"}


# --- what is another organization's, or nobody's ------------------------------------------------------------------


async def test_of_several_organizations_none_registers_what_nobody_has(desk: Desk) -> None:
    """A number of the account that another has, that nobody has, and one that is not in it: the same answer, unasked."""
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    await other.be_assigned("+13175550101")
    desk.carrier.pointed.clear()
    answers = set()
    for e164 in ("+13175550101", "+13175550102", "+13175559999"):
        request = numbers_pb2.RegisterNumberRequest(number=numbers_pb2.Number(e164=e164))
        answers.add(await refusal(desk.stub.RegisterNumber(request, metadata=desk.who)))
    assert [each for each, _ in answers] == [grpc.StatusCode.PERMISSION_DENIED]
    assert (desk.carrier.pointed, await desk.numbers(), await sync(desk)) == ({}, [], (0, 0, 0))


@pytest.mark.parametrize("lost", [None, SILENCE])
async def test_what_the_account_holds_can_not_be_had_by_ordering_it(desk: Desk, lost: CarrierError | None) -> None:
    """An order whose answer got lost was looked up in the account, and found what had been there all along: another's number
    was then given back to the carrier, and nobody's was taken.
    """
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    await other.be_assigned("+13175550101")
    desk.carrier.refuse_orders = lost
    answers = [await refusal(desk.buy(e164)) for e164 in ("+13175550101", "+13175550102")]
    desk.carrier.refuse_orders = None
    answers.append(await refusal(desk.buy("+13175559999")))
    assert answers == [(grpc.StatusCode.ABORTED, "The number is not for sale.")] * 3
    await desk.sweep()
    assert (desk.carrier.released, await desk.numbers(), await other.numbers()) == ([], [], ["+13175550101"])


async def test_a_request_that_buys_nothing_tells_nothing_of_the_number(desk: Desk) -> None:
    """A bad flow was a 409 for a number of the account, and a 400 for others: who asked so learned for free which are held."""
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    await other.be_assigned("+13175550101")
    numbers = ("+13175550101", "+13175550102", "+13175559999")
    for flow in ({"flow_id": "flow_x"}, {"sms_flow_id": "flow_x"}):
        assert [(await refusal(desk.buy(e164, **flow)))[0] for e164 in numbers] == [
            grpc.StatusCode.INVALID_ARGUMENT
        ] * 3
    assert await desk.attempts() == []


async def test_an_organization_beyond_its_quota_learns_nothing_of_a_number(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NumberQuota, "require", _exceeded)
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    await other.be_assigned("+13175550101")
    answers = {await refusal(desk.buy(e164)) for e164 in ("+13175550101", "+13175550102", "+13175559999")}
    assert len(answers) == 1 and "the limit is" in str(answers)


def _exceeded(quota: NumberQuota, *counts: int | None) -> None:
    raise PlanLimit("the limit is reached")


async def test_that_another_is_buying_a_number_is_not_told(desk: Desk) -> None:
    other, arrived, go_on = Desk(desk.plane, await desk.plane.tenant("Other")), asyncio.Event(), asyncio.Event()
    bought = desk.carrier.buy_number

    async def slowly(e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        arrived.set()
        await go_on.wait()
        return await bought(e164, webhooks)

    desk.carrier.buy_number = slowly  # type: ignore[method-assign]
    buying = asyncio.create_task(other.buy())
    await arrived.wait()
    assert await refusal(desk.buy()) == (grpc.StatusCode.ABORTED, "The number is not for sale.")
    go_on.set()
    assert (await buying).e164 == NUMBER


# --- who pays -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [{"rate_burst": 10_000, "numbers_bought_per_day": 2}, {"rate_burst": 10_000, "numbers_per_organization": 2}],
)
async def test_an_organization_buys_so_many_and_no_more(desk: Desk, limits: dict[str, float]) -> None:
    results = await asyncio.gather(*(desk.buy(f"+1317555020{n}") for n in range(6)), return_exceptions=True)
    refused = [reason(each) for each in results if isinstance(each, aio.AioRpcError)]
    assert refused == ["PLAN_LIMIT"] * 4 and len(desk.carrier.bought) == 2
    other = Desk(desk.plane, await desk.plane.tenant("Other"))
    assert await other.buy("+13175550209")  # each has its own
    for number in (await desk.stub.ListNumbers(numbers_pb2.ListNumbersRequest(), metadata=desk.who)).numbers:
        await desk.release(number)
    if "numbers_bought_per_day" in limits:  # giving back does not make it cheaper
        with pytest.raises(aio.AioRpcError):
            await desk.buy("+13175550208")
        async with desk.plane.control.db.system() as tx:
            await tx.execute("UPDATE number_purchases SET created_at = now() - interval '25 hours'")
    assert (await desk.buy("+13175550208")).e164 == "+13175550208"


@pytest.mark.parametrize(
    ("of_plan", "in_all", "bought", "is_within"),
    [
        (1, 100, 2, True),
        (1, 100, 3, False),
        (5, 100, 9, True),
        (5, 100, 10, False),
        (None, 4, 8, False),
        (9, 4, 8, False),
    ],
)
def test_purchases_of_a_month_follow_the_numbers_of_the_plan(
    of_plan: int | None, in_all: int, bought: int, is_within: bool
) -> None:
    quota = NumberQuota(in_all, a_day=20)
    with nullcontext() if is_within else pytest.raises(PlanLimit, match="this month"):
        quota.require(0, 0, bought, of_plan)


async def test_the_same_key_buys_once(desk: Desk) -> None:
    results = await asyncio.gather(*(desk.buy(key="k") for _ in range(20)), return_exceptions=True)
    bought = [each for each in results if isinstance(each, numbers_pb2.Number)]
    assert bought and len({number.id for number in bought}) == 1
    assert {each.code() for each in results if isinstance(each, aio.AioRpcError)} <= {grpc.StatusCode.ABORTED}
    assert (await desk.buy(key="k")).id == bought[0].id
    assert desk.carrier.bought == [NUMBER]
    with pytest.raises(aio.AioRpcError) as another:
        await desk.buy("+13175550201", key="k")
    assert code(another) is grpc.StatusCode.ALREADY_EXISTS


async def test_of_many_who_want_a_number_one_gets_it(desk: Desk) -> None:
    desks = [desk, *[Desk(desk.plane, await desk.plane.tenant(f"T{n}")) for n in range(4)]]
    results = await asyncio.gather(*(each.buy() for each in desks for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(each, numbers_pb2.Number) for each in results) == 1
    assert desk.carrier.bought == [NUMBER] and desk.carrier.released == []


# --- giving back --------------------------------------------------------------------------------------------------


async def test_a_number_is_given_back(desk: Desk) -> None:
    number = await desk.buy()
    await desk.release(number)
    assert (await desk.numbers(), desk.carrier.released) == ([], [f"PN{NUMBER}"])
    assert await desk.audited("releaseNumber") == 1
    with pytest.raises(aio.AioRpcError) as again:
        await desk.release(number)
    assert code(again) is grpc.StatusCode.NOT_FOUND


async def test_a_refused_release_changes_nothing(desk: Desk) -> None:
    number = await desk.buy()
    desk.carrier.refuse_orders = NO
    with pytest.raises(aio.AioRpcError):
        await desk.release(number)
    kept = await desk.stub.GetNumber(numbers_pb2.GetNumberRequest(id=number.id), metadata=desk.who)
    assert kept.number.status == numbers_pb2.NUMBER_STATUS_ACTIVE


async def test_a_release_whose_answer_is_lost_is_finished_later(desk: Desk) -> None:
    number = await desk.buy()
    desk.carrier.lose_answers = SILENCE
    with pytest.raises(aio.AioRpcError):
        await desk.release(number)
    half = await desk.stub.GetNumber(numbers_pb2.GetNumberRequest(id=number.id), metadata=desk.who)
    assert half.number.status == numbers_pb2.NUMBER_STATUS_RELEASING
    desk.carrier.lose_answers = None
    await asyncio.gather(*(desk.sweep() for _ in range(3)))
    assert await desk.numbers() == []


async def test_a_number_with_a_call_on_it_stays(desk: Desk) -> None:
    number = await desk.buy()
    from hum import ids

    async with desk.plane.control.db.system() as tx:
        await tx.execute(
            "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, number_id)"
            " SELECT gen_random_uuid(), org_id, 'inbound', 'in_progress', '+13175550199', e164, id FROM numbers"
            " WHERE id = $1",
            ids.require(ids.Kind.NUMBER, number.id),
        )
    with pytest.raises(aio.AioRpcError) as busy:
        await desk.release(number)
    assert code(busy) is grpc.StatusCode.FAILED_PRECONDITION
    async with desk.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'completed', ended_at = now()")
    await desk.release(number)


# --- comparing ----------------------------------------------------------------------------------------------------


async def test_a_single_organization_takes_over_what_nobody_has(desk: Desk) -> None:
    assert await sync(desk) == (10, 0, 0)
    assert await desk.numbers() == sorted(desk.carrier.numbers)
    assert len(desk.carrier.pointed) == 10
    for e164, held in desk.carrier.numbers.items():
        desk.carrier.numbers[e164] = CarrierNumber(
            held.sid, e164, held.friendly_name, held.capabilities, desk.carrier.pointed[held.sid]
        )
    desk.carrier.pointed.clear()
    assert (await sync(desk), desk.carrier.pointed) == ((0, 0, 0), {})  # again: nothing


@pytest.mark.parametrize("url", ["voice_url", "voice_status_url", "sms_url", "sms_fallback_url"])
async def test_a_number_of_which_one_url_is_elsewhere_is_pointed_here_again(desk: Desk, url: str) -> None:
    await sync(desk)
    here = Webhooks.at(desk.plane.settings.public_url)
    for e164, held in desk.carrier.numbers.items():
        desk.carrier.numbers[e164] = replace(held, webhooks=here)
    held = desk.carrier.numbers["+13175550103"]
    desk.carrier.numbers[held.e164] = replace(held, webhooks=replace(here, **{url: "https://elsewhere.example/"}))
    desk.carrier.pointed.clear()
    assert await sync(desk) == (0, 1, 0)
    assert desk.carrier.pointed == {held.sid: here}


async def test_a_registered_number_gets_its_texts_here(desk: Desk) -> None:
    held = desk.carrier.numbers["+13175550101"]
    here = Webhooks.at(desk.plane.settings.public_url)
    desk.carrier.numbers[held.e164] = replace(held, webhooks=replace(here, sms_url="https://elsewhere.example/"))
    number = numbers_pb2.Number(e164=held.e164)
    await desk.stub.RegisterNumber(numbers_pb2.RegisterNumberRequest(number=number), metadata=desk.who)
    assert desk.carrier.pointed == {held.sid: here}


async def test_of_several_organizations_each_sees_to_its_own(desk: Desk) -> None:
    await desk.plane.tenant("Other")
    await desk.be_assigned("+13175550100")
    held = desk.carrier.numbers["+13175550100"]
    here = desk.carrier.pointed[held.sid]
    desk.carrier.numbers["+13175550100"] = CarrierNumber("PNnew", held.e164, "x", ("voice",), here)
    assert await sync(desk) == (0, 1, 0)
    del desk.carrier.numbers["+13175550100"]
    assert await sync(desk) == (0, 0, 1)
    assert await sync(desk) == (0, 0, 0)
    (gone,) = (await desk.stub.ListNumbers(numbers_pb2.ListNumbersRequest(), metadata=desk.who)).numbers
    assert gone.status == numbers_pb2.NUMBER_STATUS_GONE and not gone.capabilities.sms
    desk.carrier.numbers["+13175550100"] = held
    assert await sync(desk) == (0, 1, 0)  # it is back, and pointed


async def test_an_operator_assigns(desk: Desk) -> None:
    db, carrier = desk.plane.control.db, desk.carrier
    from hum import ids
    from hum.contract.errors import NotAtCarrier, NotFound

    org = (await principal_of(desk)).org_id
    await usecases.assign(db, carrier, Webhooks("v", "s"), org, "+13175550103")
    assert await desk.numbers() == ["+13175550103"]
    with pytest.raises(NotAtCarrier):
        await usecases.assign(db, carrier, Webhooks("v", "s"), org, "+13175550999")
    with pytest.raises(NotFound):
        await usecases.assign(db, carrier, Webhooks("v", "s"), ids.new(), "+13175550104")
