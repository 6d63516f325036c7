"""Buying, synchronizing and releasing numbers, with a carrier that fails at the worst moment."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc import aio
from prometheus_client import REGISTRY

from control.clients.twilio import CarrierNumber, Webhooks
from control.numbers import usecases
from control.numbers.purchases import Purchases, Quota
from hum.errors import CarrierError
from hum.v1 import identity_pb2, identity_pb2_grpc, numbers_pb2, numbers_pb2_grpc
from tests.control.conftest import Plane
from tests.control.test_flows import reason

AT_ONCE, NUMBER = timedelta(0), "+13175550200"
NO = CarrierError("the carrier refused: no", carrier_code="21421", carrier_status="400")
SILENCE = CarrierError("the carrier did not answer: TimeoutError")
BUSY = CarrierError("the carrier refused: oops", carrier_code="20500", carrier_status="500")

Metadata = tuple[tuple[str, str], ...]


class Desk:
    """A buyer, at a running control plane."""

    def __init__(self, plane: Plane, who: Metadata) -> None:
        self.plane, self.who, self.carrier = plane, who, plane.carrier
        self.stub = numbers_pb2_grpc.NumbersServiceStub(plane.channel)
        self.purchases = Purchases(
            plane.control.db, plane.carrier, Webhooks("v", "s"), timedelta(hours=1), Quota(in_all=100, a_day=100)
        )

    async def buy(self, e164: str = NUMBER, key: str = "", **given: str) -> numbers_pb2.Number:
        metadata = (*self.who, *((("idempotency-key", key),) if key else ()))
        answer = await self.stub.BuyNumber(numbers_pb2.BuyNumberRequest(e164=e164, **given), metadata=metadata)
        number: numbers_pb2.Number = answer.number
        return number

    async def numbers(self) -> list[str]:
        answer = await self.stub.ListNumbers(numbers_pb2.ListNumbersRequest(), metadata=self.who)
        return sorted(number.e164 for number in answer.numbers)

    async def release(self, number: numbers_pb2.Number) -> None:
        await self.stub.ReleaseNumber(numbers_pb2.ReleaseNumberRequest(id=number.id), metadata=self.who)

    async def be_assigned(self, e164: str) -> None:
        """As an operator, give the organization a number of the account."""
        org = (await principal_of(self)).org_id
        here = Webhooks.at(self.plane.settings.public_url)
        await usecases.assign(self.plane.control.db, self.carrier, here, org, e164)

    async def sweep(self) -> None:
        await self.purchases.sweep(AT_ONCE)
        await usecases.sweep_releases(self.plane.control.db, self.carrier, AT_ONCE)

    async def attempts(self) -> list[str]:
        async with self.plane.control.db.system() as tx:
            rows = await tx.fetch("SELECT status FROM number_purchases ORDER BY created_at, id")
        return [row["status"] for row in rows]

    async def audited(self, action: str) -> int:
        async with self.plane.control.db.system() as tx:
            found: int = await tx.fetchval("SELECT count(*) FROM audit_log WHERE action = $1", action)
        return found


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.tenant())


def code(error: pytest.ExceptionInfo[aio.AioRpcError]) -> grpc.StatusCode:
    return error.value.code()


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


# --- buying -------------------------------------------------------------------------------------------------------


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


async def principal_of(desk: Desk) -> Any:
    from hum import ids
    from hum.principal import Principal

    me = await identity_pb2_grpc.IdentityServiceStub(desk.plane.channel).GetMe(
        identity_pb2.GetMeRequest(), metadata=desk.who
    )
    org = ids.require(ids.Kind.ORGANIZATION, me.organization.id)
    return Principal(org, "admin", ("*",), ids.new(), None, None, "test")


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
    return REGISTRY.get_sample_value("hum_swept_rows_failed_total", {"sweep": sweep}) or 0


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
    from hum.errors import AlreadyExists

    async def taken(*_: Any) -> None:
        raise AlreadyExists

    monkeypatch.setattr("storage.numbers.create", taken)
    with pytest.raises(aio.AioRpcError) as refused:
        await desk.buy()
    assert code(refused) is grpc.StatusCode.ABORTED
    assert (await desk.attempts(), desk.carrier.released) == (["returned"], [f"PN{NUMBER}"])
    assert (await desk.numbers(), await desk.audited("buyNumber")) == ([], 0)


async def test_giving_back_is_tried_until_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from hum.errors import AlreadyExists

    async def taken(*_: Any) -> None:
        raise AlreadyExists

    monkeypatch.setattr("storage.numbers.create", taken)
    released = desk.carrier.release_number

    async def away(_: str) -> None:
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


# --- what is another organization's, or nobody's ------------------------------------------------------------------


async def refusal(asked: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(aio.AioRpcError) as refused:
        await asked
    return refused.value.code(), refused.value.details()


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


async def sync(desk: Desk) -> tuple[int, int, int]:
    answer = await desk.stub.SyncNumbers(numbers_pb2.SyncNumbersRequest(), metadata=desk.who)
    return answer.added, answer.updated, answer.gone


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
    from hum.errors import NotAtCarrier, NotFound

    org = (await principal_of(desk)).org_id
    await usecases.assign(db, carrier, Webhooks("v", "s"), org, "+13175550103")
    assert await desk.numbers() == ["+13175550103"]
    with pytest.raises(NotAtCarrier):
        await usecases.assign(db, carrier, Webhooks("v", "s"), org, "+13175550999")
    with pytest.raises(NotFound):
        await usecases.assign(db, carrier, Webhooks("v", "s"), ids.new(), "+13175550104")
