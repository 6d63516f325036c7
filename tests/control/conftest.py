"""A running control plane with a carrier that is a plain object, and clients with credentials."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from control import app
from control.app import Control, build
from control.base.subscriptions import Payments
from control.clients.openai import ModelReply, Question, Transcript, WrittenAnswer
from control.clients.twilio import (
    CarrierCall,
    CarrierNumber,
    CarrierText,
    File,
    Lookup,
    MediaRefused,
    NumberSearch,
    Offer,
    Placement,
    Text,
    Webhooks,
)
from control.feature import ExternalClients
from control.identity import usecases as identity
from hum import rpc
from hum.clock import monotonic_ms, now
from hum.process import home
from hum.settings import ControlSettings

#: Rate limits that no test reaches by chance.
UNLIMITED: Mapping[str, Any] = {"rate_burst": 10_000, "organization_rate_burst": 10_000, "unknown_rate_burst": 10_000}


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
    redirected: list[tuple[str, str]] = field(default_factory=list)
    calls: dict[str, CarrierCall] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    #: The accounts whose calls in progress were listed.
    listed: list[str] = field(default_factory=list)
    #: The account that was named with each call that was ended, moved or looked up.
    accounts: list[str] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    fail: Exception | None = None
    #: What goes wrong with an order: before it is carried out, or afterwards.
    refuse_orders: Exception | None = None
    lose_answers: Exception | None = None
    #: The calls that it placed, by their ids, and what goes wrong with the next ones: before, or afterwards.
    placed: dict[str, Placement] = field(default_factory=dict)
    refuse_calls: list[Exception] = field(default_factory=list)
    lose_calls: list[BaseException] = field(default_factory=list)
    placed_at: list[float] = field(default_factory=list)
    #: The texts that it accepted, by their ids, how they stand, and what goes wrong with the next ones: before, or afterwards.
    texted: dict[str, Text] = field(default_factory=dict)
    texts: dict[str, CarrierText] = field(default_factory=dict)
    refuse_texts: list[Exception] = field(default_factory=list)
    lose_texts: list[BaseException] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)

    async def find_number(self, e164: str) -> CarrierNumber | None:
        return self.numbers.get(e164)

    async def list_numbers(self) -> list[CarrierNumber]:
        return list(self.numbers.values())

    async def offers(self, search: NumberSearch, limit: int) -> list[Offer]:
        found = sorted(each for each in self.on_sale if each.startswith(f"+1{search.area_code or ''}"))
        return [Offer(each, each, "Indianapolis", "IN", search.country, ("voice", "sms")) for each in found][:limit]

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

    async def end_call(self, call_sid: str, account: str = "") -> bool:
        self.ended.append(call_sid)
        self.accounts.append(account)
        return True

    async def redirect_call(self, call_sid: str, url: str, account: str = "") -> bool:
        if self.fail:
            raise self.fail
        self.redirected.append((call_sid, url))
        self.accounts.append(account)
        return True

    async def place_call(self, placement: Placement) -> str:
        if self.refuse_calls:
            raise self.refuse_calls.pop(0)
        sid = f"CA{len(self.placed):032d}"
        self.placed[sid] = placement
        self.placed_at.append(monotonic_ms())
        if self.lose_calls:
            raise self.lose_calls.pop(0)
        return sid

    async def placed_calls(self, account: str, from_e164: str, to_e164: str, since: datetime) -> list[CarrierCall]:
        if self.fail:
            raise self.fail
        self.asked.append(to_e164)
        return [
            self.calls.get(sid, CarrierCall("ringing", None, sid))
            for sid, each in reversed(self.placed.items())
            if (each.account, each.from_e164, each.to_e164) == (account, from_e164, to_e164)
        ]

    async def calls_in_progress(self, account: str = "") -> frozenset[str]:
        self.listed.append(account)
        if self.fail:
            raise self.fail
        return frozenset(sid for sid, call in self.calls.items() if call.status == "in-progress")

    async def completed_calls(self, since: datetime, account: str = "") -> list[CarrierCall]:
        self.listed.append(f"completed {account}".strip())
        if self.fail:
            raise self.fail
        return [replace(call, sid=sid) for sid, call in self.calls.items() if call.status == "completed"]

    async def find_call(self, call_sid: str, account: str = "") -> CarrierCall | None:
        self.asked.append(call_sid)
        self.accounts.append(account)
        if self.fail:
            raise self.fail
        return self.calls.get(call_sid)

    async def send_text(self, text: Text) -> CarrierText:
        if self.refuse_texts:
            raise self.refuse_texts.pop(0)
        sid = f"SM{len(self.texted):032d}"
        self.texted[sid] = text
        self.texts[sid] = CarrierText(sid, "queued", None, 1, text.body, text.from_e164, text.to_e164, now())
        if self.lose_texts:
            raise self.lose_texts.pop(0)
        return self.texts[sid]

    async def sent_texts(self, account: str, from_e164: str, to_e164: str, since: datetime) -> list[CarrierText]:
        if self.fail:
            raise self.fail
        found = [(self.texts[sid], asked) for sid, asked in reversed(self.texted.items()) if sid in self.texts]
        return [
            text
            for text, asked in found
            if (asked.account, asked.from_e164, asked.to_e164) == (account, from_e164, to_e164)
            and text.created_at >= since
        ]

    async def find_text(self, sid: str, account: str = "") -> CarrierText | None:
        if self.fail:
            raise self.fail
        return self.texts.get(sid)

    async def fetch_media(self, url: str, account: str, most_bytes: int) -> File:
        if self.fail:
            raise self.fail
        if url not in self.files:
            raise MediaRefused("no such file", carrier_status="404")
        if len(self.files[url].content) > most_bytes:
            raise MediaRefused("too large")
        return self.files[url]


@dataclass
class Silent:
    """A model and a directory that must not be asked."""

    speech_model = "silent"

    async def synthesize(self, voice: str, text: str) -> bytes:
        raise AssertionError("control renders nothing")

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
        raise AssertionError("control writes nothing")

    text_model = "silent"

    async def respond(self, question: Question) -> ModelReply:
        raise AssertionError("control answers no texts")

    async def transcribe(self, wav: bytes, language: str | None) -> Transcript:
        raise AssertionError("control transcribes nothing")

    async def look_up(self, e164: str) -> Lookup | None:
        raise AssertionError("control looks nobody up")


def fake_clients(carrier: FakeCarrier, payments: Payments | None = None) -> ExternalClients:
    silent = Silent()
    return ExternalClients(carrier, silent, silent, silent, silent, silent, payments)


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
    """The rate limits: tests send more requests than people do, except those about the limits themselves."""
    return {**UNLIMITED}


@pytest.fixture
def payments() -> Payments | None:
    """The payment provider: there is no billing, except in tests about it."""
    return None


async def _as_always(*_: object, **__: object) -> None:
    """What is looked at here has not changed since it was looked at last."""


@pytest.fixture
async def plane(
    database_url: str,
    tmp_path: Path,
    limits: dict[str, float],
    payments: Payments | None,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Plane]:
    # Both are a third of a start, and this is a copy of a database that is migrated; their own tests are in tests/storage.
    monkeypatch.setattr(app, "migrate", _as_always)
    monkeypatch.setattr(app, "check_isolation", _as_always)
    monkeypatch.setattr(app, "CALLS_IDLE", 0)  # most tests have no call: whichever has one opens the connections
    short: dict[str, Any] = {"settle_seconds": 0.2, "room_seconds": 0.2, "recheck_seconds": 0.5, **limits}
    settings = ControlSettings(
        home=tmp_path,
        control_listen="127.0.0.1:0",
        drain_seconds=0.2,
        **short,
    )
    carrier = FakeCarrier()
    async with build(settings, database_url, fake_clients(carrier, payments)) as control:
        async with aio.insecure_channel(f"127.0.0.1:{control.port}") as channel:
            yield Plane(control, carrier, settings, channel)
