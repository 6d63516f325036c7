"""`hum control` and `hum worker`: the only place of this plane that calls constructors."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvloop

from control.base.paging import Cursors
from control.boundary import Boundary
from control.bus import Bus
from control.calls.servicer import CallsServicer
from control.clients.openai import OpenAI
from control.clients.twilio import Carrier, Twilio, Webhooks
from control.flows.servicer import FlowsServicer
from control.identity.servicer import AdminServicer, IdentityServicer
from control.ingress import IngressServicer
from control.media import MediaServicer
from control.numbers.servicer import NumbersServicer
from control.review.servicer import ReviewServicer
from control.server import ControlServer
from control.worker import Worker
from hum import home, settings, telemetry
from hum.settings import ControlSettings
from hum.signals import stop_signal
from hum.v1 import calls_pb2, flows_pb2, identity_pb2, numbers_pb2, review_pb2, runtime_pb2
from storage.db import Db
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
    bus, node_key = Bus(db), home.node_key(given)
    twilio = None if carrier else Twilio(given, given.carrier_seconds)
    outside = carrier or twilio
    assert outside is not None
    boundary = Boundary(db, node_key, keep_keys=timedelta(hours=given.idempotency_hours))
    cursors = Cursors(node_key)
    calls = CallsServicer(
        db,
        bus,
        boundary,
        cursors,
        outside,
        recordings_dir=given.recordings_dir,
        recheck_seconds=given.recheck_seconds,
    )
    runtime = runtime_pb2.DESCRIPTOR.services_by_name
    ingress = IngressServicer(db, bus, token_seconds=given.token_seconds, settle_seconds=given.settle_seconds)
    server = ControlServer(
        given,
        boundary,
        {
            identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]: IdentityServicer(cursors),
            flows_pb2.DESCRIPTOR.services_by_name["FlowsService"]: FlowsServicer(cursors),
            numbers_pb2.DESCRIPTOR.services_by_name["NumbersService"]: NumbersServicer(
                cursors, outside, Webhooks.at(given.public_url)
            ),
            calls_pb2.DESCRIPTOR.services_by_name["CallsService"]: calls,
            review_pb2.DESCRIPTOR.services_by_name["ReviewService"]: ReviewServicer(cursors),
            runtime["IngressService"]: ingress,
            runtime["MediaService"]: MediaServicer(db, bus, given),
            runtime["AdminService"]: AdminServicer(db),
        },
    )
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
    model = OpenAI(given, given.model_seconds)
    try:
        yield Worker(db, given, speech=model, writer=model)
    finally:
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
    """Work until SIGTERM or SIGINT."""
    asked = stop_signal()
    async with database(given) as url, build_worker(given, url) as worker:
        LOG.info("worker works")
        await worker.run(asked)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m control.app", description=__doc__)
    arguments.add_argument("program", choices=("control", "worker"), nargs="?", default="control")
    program = arguments.parse_args().program
    given = settings.load(ControlSettings)
    telemetry.start(given, program)
    uvloop.run(run_worker(given) if program == "worker" else run_control(given))


if __name__ == "__main__":
    main()
