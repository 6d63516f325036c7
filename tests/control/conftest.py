"""A running control plane with a carrier that is a plain object, and clients with credentials."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from control.app import Control, build
from control.clients.twilio import CarrierCall, CarrierNumber, Lookup, Offer, Webhooks, Wish
from control.feature import Outside
from control.identity import usecases as identity
from hum import home, rpc
from hum.settings import ControlSettings


@dataclass
class FakeCarrier:
    """Holds some numbers and records the requests that it gets."""

    numbers: dict[str, CarrierNumber] = field(
        default_factory=lambda: {
            f"+1317555010{n}": CarrierNumber(
                f"PN{n}", f"+1317555010{n}", f"Line {n}", ("voice", "sms"), Webhooks("", "")
            )
            for n in range(10)
        }
    )
    on_sale: set[str] = field(default_factory=lambda: {f"+1317555020{n}" for n in range(10)})
    pointed: dict[str, Webhooks] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    calls: dict[str, CarrierCall] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    fail: Exception | None = None
    #: What goes wrong with an order: before it is carried out, or afterwards.
    refuse_orders: Exception | None = None
    lose_answers: Exception | None = None

    async def find_number(self, e164: str) -> CarrierNumber | None:
        return self.numbers.get(e164)

    async def list_numbers(self) -> list[CarrierNumber]:
        return list(self.numbers.values())

    async def offers(self, wish: Wish, limit: int) -> list[Offer]:
        found = sorted(each for each in self.on_sale if each.startswith(f"+1{wish.area_code or ''}"))
        return [Offer(each, each, "Indianapolis", "IN", wish.country, ("voice", "sms")) for each in found][:limit]

    async def buy_number(self, e164: str, webhooks: Webhooks) -> CarrierNumber | None:
        if self.refuse_orders:
            raise self.refuse_orders
        if e164 not in self.on_sale:
            return None
        self.on_sale.remove(e164)
        self.bought.append(e164)
        self.numbers[e164] = CarrierNumber(f"PN{e164}", e164, e164, ("voice", "sms"), webhooks)
        if self.lose_answers:
            raise self.lose_answers
        return self.numbers[e164]

    async def release_number(self, sid: str) -> None:
        if self.refuse_orders:
            raise self.refuse_orders
        self.released.append(sid)
        self.numbers = {e164: each for e164, each in self.numbers.items() if each.sid != sid}
        if self.lose_answers:
            raise self.lose_answers

    async def point_number(self, sid: str, webhooks: Webhooks) -> None:
        if self.fail:
            raise self.fail
        self.pointed[sid] = webhooks

    async def end_call(self, call_sid: str) -> bool:
        self.ended.append(call_sid)
        return True

    async def find_call(self, call_sid: str) -> CarrierCall | None:
        self.asked.append(call_sid)
        if self.fail:
            raise self.fail
        return self.calls.get(call_sid)


@dataclass
class Silent:
    """A model and a directory that must not be asked."""

    async def say(self, voice: str, text: str) -> bytes:
        raise AssertionError("control renders nothing")

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError("control writes nothing")

    async def look_up(self, e164: str) -> Lookup | None:
        raise AssertionError("control looks nobody up")


def outside(carrier: FakeCarrier) -> Outside:
    silent = Silent()
    return Outside(carrier, silent, silent, silent)


@dataclass
class Plane:
    """The control plane under test."""

    control: Control
    carrier: FakeCarrier
    settings: ControlSettings
    channel: aio.Channel

    def node(self, plane: str = "media", name: str = "media-1") -> tuple[tuple[str, str], ...]:
        """Metadata of another plane."""
        return (rpc.NodeIdentity(home.node_key(self.settings), plane, name).metadata(),)

    async def tenant(
        self, name: str = "Clinic", role: str = "admin", scopes: tuple[str, ...] = ()
    ) -> tuple[tuple[str, str], ...]:
        """Metadata of a key of a new organization."""
        org = await identity.create_organization(self.control.db, name, f"owner@{name.lower()}.example")
        _, secret = await identity.issue_key(self.control.db, org, "test", role, list(scopes))
        return bearer(secret)


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return ((rpc.CREDENTIAL, rpc.BEARER_SCHEME + secret),)


@pytest.fixture
def limits() -> dict[str, float]:
    """The rate limit: tests send more requests than people do, except those about the limit itself."""
    return {"rate_burst": 10_000}


@pytest.fixture
async def plane(database_url: str, tmp_path: Path, limits: dict[str, float]) -> AsyncIterator[Plane]:
    settings = ControlSettings(
        home=tmp_path,
        control_listen="127.0.0.1:0",
        drain_seconds=0.2,
        recheck_seconds=0.5,
        **{"settle_seconds": 0.2, "room_seconds": 0.2, **limits},
    )
    carrier = FakeCarrier()
    async with build(settings, database_url, outside(carrier)) as control:
        async with aio.insecure_channel(f"127.0.0.1:{control.port}") as channel:
            yield Plane(control, carrier, settings, channel)
