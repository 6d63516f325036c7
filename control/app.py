"""`hum control` and `hum worker`: the only place of this plane that calls constructors."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import uvloop
from google.protobuf.descriptor import ServiceDescriptor

from control.analytics.servicer import AnalyticsServicer
from control.audit.servicer import AuditServicer
from control.base.paging import Cursors
from control.base.rates import Rates
from control.boundary import Boundary
from control.bus import Bus
from control.calls.servicer import CallsServicer
from control.clients.openai import OpenAI
from control.clients.twilio import Carrier, Twilio, Webhooks
from control.contacts.servicer import ContactsServicer
from control.flows.servicer import FlowsServicer
from control.identity.servicer import AdminServicer, IdentityServicer
from control.identity.signin import SignInServicer
from control.ingress import IngressServicer
from control.media import MediaServicer
from control.numbers.purchases import Purchases
from control.numbers.servicer import NumbersServicer
from control.review.servicer import ReviewServicer
from control.server import ControlServer
from control.team.servicer import TeamServicer
from control.worker import Worker
from hum import home, settings, telemetry
from hum.settings import ControlSettings
from hum.signals import stop_signal
from hum.v1 import (
    analytics_pb2,
    audit_pb2,
    calls_pb2,
    contacts_pb2,
    flows_pb2,
    identity_pb2,
    numbers_pb2,
    review_pb2,
    runtime_pb2,
    team_pb2,
)
from storage.db import AWAY, Db
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

LOG = telemetry.log(__name__)


@dataclass(frozen=True, slots=True)
class Control:
    """A running control plane."""

    db: Db
    bus: Bus
    server: ControlServer

    @property
    def port(self) -> int:
        return self.server.port


@asynccontextmanager
async def database(given: ControlSettings) -> AsyncIterator[str]:
    """The URL of the database: the operator's, or an embedded one for as long as this lasts."""
    if given.database_url:
        yield given.database_url
        return
    if given.production:
        raise SystemExit("hum: HUM_DATABASE_URL is not set; production needs a PostgreSQL of its own")
    embedded = EmbeddedPostgres(given.home)
    try:
        yield await embedded.start()
    finally:
        await embedded.stop()


def services(
    given: ControlSettings, db: Db, bus: Bus, boundary: Boundary, carrier: Carrier, cursors: Cursors
) -> dict[ServiceDescriptor, object]:
    """Every service of the contract, and who serves it."""
    served = (
        (identity_pb2, "IdentityService", IdentityServicer(cursors)),
        (team_pb2, "TeamService", TeamServicer(cursors, timedelta(days=given.invite_days))),
        (analytics_pb2, "AnalyticsService", AnalyticsServicer()),
        (audit_pb2, "AuditService", AuditServicer(db, cursors)),
        (flows_pb2, "FlowsService", FlowsServicer(cursors)),
        (numbers_pb2, "NumbersService", _numbers(given, db, carrier, cursors)),
        (calls_pb2, "CallsService", _calls(given, db, bus, boundary, carrier, cursors)),
        (contacts_pb2, "ContactsService", ContactsServicer(db, cursors)),
        (review_pb2, "ReviewService", ReviewServicer(db, cursors, given.recordings_dir)),
        (runtime_pb2, "IngressService", _ingress(given, db, bus)),
        (runtime_pb2, "MediaService", MediaServicer(db, bus, given)),
        (runtime_pb2, "SignInService", SignInServicer(db, given)),
        (runtime_pb2, "AdminService", AdminServicer(db, carrier, Webhooks.at(given.public_url))),
    )
    return {module.DESCRIPTOR.services_by_name[name]: servicer for module, name, servicer in served}


def _numbers(given: ControlSettings, db: Db, carrier: Carrier, cursors: Cursors) -> NumbersServicer:
    return NumbersServicer(db, cursors, carrier, Webhooks.at(given.public_url), purchases(given, db, carrier))


def purchases(given: ControlSettings, db: Db, carrier: Carrier) -> Purchases:
    return Purchases(db, carrier, Webhooks.at(given.public_url), timedelta(hours=given.idempotency_hours))


def _calls(
    given: ControlSettings, db: Db, bus: Bus, boundary: Boundary, carrier: Carrier, cursors: Cursors
) -> CallsServicer:
    return CallsServicer(
        db,
        bus,
        boundary,
        cursors,
        carrier,
        recordings_dir=given.recordings_dir,
        recheck_seconds=given.recheck_seconds,
    )


def _ingress(given: ControlSettings, db: Db, bus: Bus) -> IngressServicer:
    return IngressServicer(
        db,
        bus,
        token_seconds=given.token_seconds,
        settle_seconds=given.settle_seconds,
        lookup_keep=timedelta(days=given.lookup_days),
    )


@asynccontextmanager
async def build(given: ControlSettings, database_url: str, carrier: Carrier | None = None) -> AsyncIterator[Control]:
    """Everything of a control plane, started; drained and closed at the end."""
    await migrate(database_url)
    db = await Db.open(
        database_url,
        size=given.pool_size,
        statement_seconds=given.statement_seconds,
        lock_seconds=given.lock_seconds,
    )
    bus, node_key = Bus(db, retry_seconds=given.database_retry_seconds), home.node_key(given)
    twilio = None if carrier else Twilio(given, given.carrier_seconds)
    outside = carrier or twilio
    assert outside is not None
    rates = Rates(given.rate_per_second, given.rate_burst)
    boundary = Boundary(db, node_key, rates, keep_keys=timedelta(hours=given.idempotency_hours))
    server = ControlServer(given, boundary, services(given, db, bus, boundary, outside, Cursors(node_key)))
    try:
        await bus.start()
        await server.start()
        yield Control(db, bus, server)
    finally:
        await server.drain(given.drain_seconds)
        await bus.stop()
        if twilio:
            await twilio.close()
        await db.close()


@asynccontextmanager
async def build_worker(given: ControlSettings, database_url: str) -> AsyncIterator[Worker]:
    """A worker, ready to run."""
    await migrate(database_url)
    db = await Db.open(
        database_url,
        size=given.pool_size,
        statement_seconds=given.statement_seconds,
        lock_seconds=given.lock_seconds,
    )
    model, twilio = OpenAI(given, given.model_seconds), Twilio(given, given.carrier_seconds)
    try:
        buyer = purchases(given, db, twilio)
        yield Worker(db, given, speech=model, writer=model, lookups=twilio, carrier=twilio, purchases=buyer)
    finally:
        await twilio.close()
        await model.close()
        await db.close()


async def run_control(given: ControlSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    asked = stop_signal()
    async with database(given) as url, build(given, url) as control:
        LOG.info("control serves", port=control.port)
        await asked.wait()
        LOG.info("control drains")


async def run_worker(given: ControlSettings) -> None:
    """Work until SIGTERM or SIGINT; a database that goes away is waited for, once it was there."""
    asked = stop_signal()
    async with database(given) as url:
        began = False
        while not asked.is_set():
            try:
                async with build_worker(given, url) as worker:
                    LOG.info("worker works")
                    began = True
                    await worker.run(asked)
            except AWAY as error:
                if not began:
                    raise
                LOG.warning("the database is away", error=repr(error)[:200])
                with suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), given.database_retry_seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m control.app", description=__doc__)
    arguments.add_argument("program", choices=("control", "worker"), nargs="?", default="control")
    program = arguments.parse_args().program
    given = settings.load(ControlSettings)
    telemetry.start(given, program)
    uvloop.run(run_worker(given) if program == "worker" else run_control(given))


if __name__ == "__main__":
    main()
