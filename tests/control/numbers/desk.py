"""A buyer of numbers, at a running control plane."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc import aio

from control.clients.twilio import Webhooks
from control.numbers import usecases
from control.numbers.purchases import NumberQuota, Purchases
from hum import ids
from hum.contract.errors import CarrierError
from hum.contract.principal import Principal
from hum.v1 import identity_pb2, identity_pb2_grpc, numbers_pb2, numbers_pb2_grpc
from tests.control.conftest import Plane

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
            plane.control.db, plane.carrier, Webhooks("v", "s"), timedelta(hours=1), NumberQuota(in_all=100, a_day=100)
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
        await self.purchases.finish_abandoned_purchases(AT_ONCE)
        await self.sweep_releases()

    async def sweep_releases(self) -> None:
        await usecases.finish_abandoned_releases(self.plane.control.db, self.carrier, AT_ONCE)

    async def attempts(self) -> list[str]:
        async with self.plane.control.db.system() as tx:
            rows = await tx.fetch("SELECT status FROM number_purchases ORDER BY created_at, id")
        return [row["status"] for row in rows]

    async def audited(self, action: str) -> int:
        async with self.plane.control.db.system() as tx:
            found: int = await tx.fetchval("SELECT count(*) FROM audit_log WHERE action = $1", action)
        return found


def code(error: pytest.ExceptionInfo[aio.AioRpcError]) -> grpc.StatusCode:
    return error.value.code()


async def principal_of(desk: Desk) -> Any:
    me = await identity_pb2_grpc.IdentityServiceStub(desk.plane.channel).GetMe(
        identity_pb2.GetMeRequest(), metadata=desk.who
    )
    org = ids.require(ids.Kind.ORGANIZATION, me.organization.id)
    return Principal(org, "admin", ("*",), ids.new(), None, None, "test")


async def refusal(asked: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(aio.AioRpcError) as refused:
        await asked
    return refused.value.code(), refused.value.details()


async def sync(desk: Desk) -> tuple[int, int, int]:
    answer = await desk.stub.SyncNumbers(numbers_pb2.SyncNumbersRequest(), metadata=desk.who)
    return answer.added, answer.updated, answer.gone
