"""`hum control` and `hum worker`: the composition of this plane."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import uvloop

from control.analytics.feature import feature as analytics
from control.approvals.feature import feature as approvals
from control.audit.feature import feature as audit
from control.audit.usecases import append_read, append_request
from control.base.paging import Cursors
from control.base.rates import Rates
from control.base.streams import StreamLimits
from control.base.subscriptions import Payments
from control.billing.feature import feature as billing
from control.bookings.feature import feature as bookings
from control.boundary import AuditLog, Boundary, RateLimits
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.bus import PostgresBus, RunningBus
from control.calls.feature import feature as calls
from control.campaigns.feature import feature as campaigns
from control.changes.feature import feature as changes
from control.clients.embeddings import Embeddings
from control.clients.http import GuardedClient
from control.clients.openai import OpenAI
from control.clients.twilio import Twilio
from control.contacts.feature import feature as contacts
from control.crm.feature import feature as crm
from control.delivery.feature import feature as delivery
from control.eventagents.feature import feature as eventagents
from control.events.feature import feature as events
from control.executions.feature import feature as executions
from control.feature import Deps, ExternalClients, Feature, OwnAddress
from control.flows.feature import feature as flows
from control.httptools.feature import feature as httptools
from control.identity.feature import feature as identity
from control.inbox.feature import feature as inbox
from control.knowledge.feature import feature as knowledge
from control.mcp.feature import feature as mcp
from control.mms.feature import feature as mms
from control.notifications.feature import feature as notifications
from control.numbers.feature import feature as numbers
from control.optouts.feature import feature as optouts
from control.outbound.feature import feature as outbound
from control.pacing import ACTIVE, Activity, ActivityHints
from control.retention.feature import feature as retention
from control.review.feature import feature as review
from control.search.feature import feature as search
from control.server import ControlServer
from control.studio.feature import feature as studio
from control.team.feature import feature as team
from control.textagent.feature import feature as textagent
from control.texts.feature import feature as texts
from control.tools import Registry
from control.transfers.feature import feature as transfers
from control.triggers.feature import feature as triggers
from control.usage.feature import feature as usage
from control.voicemail.feature import feature as voicemail
from control.webhooks.feature import feature as webhooks
from control.worker import Worker
from hum.objects.files import Files
from hum.observe import logs
from hum.process import home, monitoring, program, watchdog
from hum.process.lifetime import Lifetime, when
from hum.process.signals import Signals
from hum.refusal import refuse
from hum.secrets import Keyring
from hum.settings import ControlSettings
from storage.db import BUSY, UNAVAILABLE, Addresses, Db, require
from storage.embedded import EmbeddedPostgres
from storage.isolation import NotIsolated, check_isolation
from storage.migrate import CannotMigrate, migrate
from storage.servers import Timeouts

#: Seconds that a request with an Idempotency-Key may take at the carrier; after that its key is free again.
IDEMPOTENCY_LEASE_SECONDS = 60.0
#: How much lower than calls' a worker's CPU priority is.
WORKER_NICE = 5
#: Seconds to wait for the model's REST API.
MODEL_SECONDS = 60.0
#: Seconds that each host of the database has to take a connection.
DATABASE_CONNECT_SECONDS = 5.0
#: Seconds without an answer from one host of the database after which the next one is tried beside it.
DATABASE_NEXT_HOST_SECONDS = 0.3
#: Seconds between polls of the database by listeners that NOTIFY wakes, in case a notification was lost.
DATABASE_POLL_SECONDS = 5.0

LOG = logs.log(__name__)

#: Idle connections that a control plane keeps open for calls, so that the next call needs no new one.
CALLS_IDLE = 2
#: How many KB an organization's requests may store, at once and then on average: 5.5 GB a day.
STORED_KB_BURST, STORED_KB_PER_SECOND = 64_000, 64.0
#: The features of this deployment, each with a `feature.py` that declares what it provides.
FEATURES = (
    identity,
    team,
    audit,
    flows,
    studio,
    knowledge,
    numbers,
    calls,
    outbound,
    transfers,
    voicemail,
    texts,
    textagent,
    eventagents,
    campaigns,
    inbox,
    delivery,
    optouts,
    mms,
    contacts,
    bookings,
    crm,
    httptools,
    executions,
    mcp,
    approvals,
    review,
    analytics,
    usage,
    events,
    changes,
    search,
    webhooks,
    triggers,
    notifications,
    retention,
    billing,
)


@dataclass(frozen=True, slots=True)
class Control:
    """A running control plane."""

    db: Db
    bus: RunningBus
    server: ControlServer
    metrics_port: int

    @property
    def port(self) -> int:
        return self.server.port


def addresses(settings: ControlSettings, url: str) -> Addresses:
    """Return the addresses of the database at `url`, which is the operator's or embedded, and of its pooler."""
    return Addresses(
        url,
        settings.database_app_url,
        settings.database_system_url,
        Timeouts(DATABASE_CONNECT_SECONDS, DATABASE_NEXT_HOST_SECONDS, settings.database_silent_seconds),
    )


@asynccontextmanager
async def database(settings: ControlSettings) -> AsyncIterator[str]:
    """Yield the database's URL: the operator's, or that of an embedded one, which runs while the context is open."""
    if settings.database_url:
        await require(addresses(settings, settings.database_url))
        yield settings.database_url
        return
    if settings.database_app_url or settings.database_system_url:
        refuse("HUM_DATABASE_URL is not set; beside a pooler's URLs it has to lead to the server itself")
    if settings.production:
        refuse("HUM_DATABASE_URL is not set; production needs a PostgreSQL server that you run")
    embedded = EmbeddedPostgres(settings.home)
    try:
        yield await embedded.start()
    finally:
        await embedded.stop()


@asynccontextmanager
async def _payments(settings: ControlSettings) -> AsyncIterator[Payments | None]:
    """Yield the client of Stripe, or None if this deployment has none."""
    if not settings.stripe_api_key:
        yield None
        return
    # Importing the SDK takes a third of the start's time.
    from control.clients.stripe import StripePayments

    payments = StripePayments.open(settings)
    try:
        yield payments
    finally:
        await payments.close()


async def _external_clients(settings: ControlSettings, stack: AsyncExitStack) -> ExternalClients:
    """Return the clients of external systems, which are closed with the stack."""
    model, twilio = OpenAI(settings, MODEL_SECONDS), Twilio(settings, settings.carrier_seconds)
    stack.push_async_callback(model.close)
    stack.push_async_callback(twilio.close)
    embedder = None
    if settings.embedding_model:
        embedder = Embeddings(settings, settings.embedding_model, settings.embedding_dimensions)
        stack.push_async_callback(embedder.close)
    payments = await stack.enter_async_context(_payments(settings))
    return ExternalClients(
        twilio,
        twilio,
        speech=model,
        writer=model,
        transcriber=model,
        responder=model,
        payments=payments,
        embedder=embedder,
    )


@asynccontextmanager
async def composed(
    settings: ControlSettings, database_url: str, clients: ExternalClients | None = None, *, calls_idle: int = 0
) -> AsyncIterator[tuple[Deps, RunningBus, list[Feature]]]:
    """Yield all features, ready for a server or a worker; `calls_idle` idle connections stay open for calls."""
    database_addresses = addresses(settings, database_url)
    try:
        await migrate(database_url, timeouts=database_addresses.timeouts)
    except CannotMigrate as error:
        refuse(str(error))
    opened = partial(
        Db.open, database_addresses, statement_seconds=settings.statement_seconds, lock_seconds=settings.lock_seconds
    )
    async with AsyncExitStack() as stack:
        db = await opened(size=settings.pool_size)
        stack.push_async_callback(db.close)
        try:
            await check_isolation(db)
        except NotIsolated as error:
            refuse(str(error))
        calls_db = await opened(size=settings.calls_pool_size, idle=calls_idle)
        stack.push_async_callback(calls_db.close)
        web = GuardedClient.open(settings)
        stack.push_async_callback(web.close)
        bus, node_keys = _bus(settings, db, calls_db), home.node_keys(settings)
        hints = ActivityHints(bus)
        deps = Deps(
            db=db,
            calls_db=calls_db,
            bus=bus,
            hints=hints,
            boundary=Boundary(
                db,
                node_keys,
                _limits(settings),
                StreamLimits(settings.streams_per_credential, settings.streams_per_organization),
                ConcurrencyLimits(settings.organization_requests, settings.organization_wait_seconds),
                keep_keys=timedelta(hours=settings.idempotency_hours),
                lease=timedelta(seconds=IDEMPOTENCY_LEASE_SECONDS),
                bus=bus,
                audit=AuditLog(append_request, append_read),
                recheck_seconds=settings.recheck_seconds,
                note=hints.note,
            ),
            cursors=Cursors(node_keys[0]),
            clients=clients or await _external_clients(settings, stack),
            web=web,
            keyring=Keyring.parse(home.secret_keys(settings)),
            tools=Registry(),
            stopping=asyncio.Event(),
            own_address=OwnAddress(),
            files=Files.of(settings),
        )
        features = [feature(settings, deps) for feature in FEATURES]
        deps.tools.add(tool for feature in features for tool in feature.tools)
        deps.tools.add_sources(source for feature in features for source in feature.tool_sources)
        for catalog in (feature.catalog for feature in features if feature.catalog):
            deps.tools.set_catalog(catalog)
        for approver in [feature.approver for feature in features if feature.approver is not None]:
            deps.tools.set_approver(approver)
        yield deps, bus, features


def _bus(settings: ControlSettings, *databases: Db) -> RunningBus:
    """Return the bus of HUM_BUS_URL, which also carries the notifications of these databases' transactions."""
    if not settings.bus_urls:
        retry_seconds, poll_seconds = settings.database_retry_seconds, DATABASE_POLL_SECONDS
        return PostgresBus(databases[0], retry_seconds=retry_seconds, poll_seconds=poll_seconds)
    from control.natsbus import NatsBus, Servers, tls

    servers = Servers(
        settings.bus_urls,
        tls(settings.tls_ca, settings.tls_cert, settings.tls_key),
        settings.bus_retry_seconds,
        settings.bus_ping_seconds,
        settings.bus_silent_seconds,
    )
    bus = NatsBus(servers, poll_seconds=DATABASE_POLL_SECONDS)
    for database in databases:
        database.carry_hints(bus)
    return bus


def _limits(settings: ControlSettings) -> RateLimits:
    return RateLimits(
        credential=Rates(settings.rate_per_second, settings.rate_burst),
        organization=Rates(
            settings.organization_rate_per_second,
            settings.organization_rate_burst,
            "Too many requests from your organization",
        ),
        unknown=Rates(
            settings.unknown_rate_per_second,
            settings.unknown_rate_burst,
            "Too many sign-ins or unknown credentials from your address",
        ),
        stored_kb=Rates(
            STORED_KB_PER_SECOND, STORED_KB_BURST, "Your organization has stored too much in too short a time"
        ),
    )


@asynccontextmanager
async def build(
    settings: ControlSettings, database_url: str, clients: ExternalClients | None = None, signals: Signals | None = None
) -> AsyncIterator[Control]:
    """Start a control plane; at the end drain and close it, without draining if a signal says so."""
    drain, end_now = (signals.drain, signals.end_now) if signals else (None, None)
    composition = composed(settings, database_url, clients, calls_idle=CALLS_IDLE)
    async with (
        composition as (deps, bus, features),
        monitoring.serve(settings, partial(_missing, deps.stopping, deps.db), drain) as metrics,
    ):
        services = {service: servicer for feature in features for service, servicer in feature.services.items()}
        server = ControlServer(settings, deps.boundary, services)
        deps.own_address.address = server.own_address
        try:
            await bus.start([channel for feature in features for channel in feature.channels])
            await server.start()
            yield Control(deps.db, bus, server, metrics)
        finally:
            deps.stopping.set()
            async with when(end_now, server.cancel_all):
                await server.drain(settings.drain_seconds)
            await bus.stop()


@asynccontextmanager
async def build_worker(
    settings: ControlSettings, database_url: str, clients: ExternalClients | None = None
) -> AsyncIterator[Worker]:
    """Yield a worker that is ready to run."""
    async with composed(settings, database_url, clients) as (deps, bus, features):
        activity = Activity()
        wakes = {channel: wake for feature in features for channel, wake in feature.wakes.items()}
        wakes[ACTIVE] = lambda _: activity.note()
        bus.begin(list(wakes))
        for channel, wake in wakes.items():
            bus.subscribe(channel, wake)
        try:
            yield Worker(deps.db, settings, features, activity)
        finally:
            await bus.stop()


async def _missing(stopping: asyncio.Event, db: Db) -> list[str]:
    """Return why control is not ready; empty if it is."""
    if stopping.is_set():
        return ["it is shutting down"]
    try:
        await db.check()
    except (*UNAVAILABLE, *BUSY) as error:
        return [f"the database doesn't answer: {error!r}"[:200]]
    return []


async def run_control(settings: ControlSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    lifetime = Lifetime(settings)
    alive = watchdog.watch_loop(settings.stuck_seconds)
    async with alive, database(settings) as url, build(settings, url, signals=lifetime.signals) as control:
        LOG.info("control is serving", port=control.port)
        lifetime.report_ready()
        await lifetime.wait_for_shutdown()
        LOG.info("control is draining")


async def run_worker(settings: ControlSettings) -> None:
    """Work until SIGTERM or SIGINT; if the database becomes unavailable after the start, wait for it."""
    lifetime, stopping = Lifetime(settings), asyncio.Event()
    working = asyncio.create_task(_work(settings, lifetime, stopping), name="work")
    shutdown = asyncio.create_task(lifetime.wait_for_shutdown(), name="shutdown")
    shutdown.add_done_callback(lambda _: stopping.set())
    # Cancelled jobs are retried by another worker.
    async with when(lifetime.signals.end_now, working.cancel):
        await asyncio.wait([working])
    shutdown.cancel()
    if not working.cancelled():
        working.result()


async def _work(settings: ControlSettings, lifetime: Lifetime, stopping: asyncio.Event) -> None:
    working = list[Worker]()

    async def missing() -> list[str]:
        if stopping.is_set():
            return ["it is shutting down"]
        return await working[0].missing() if working else ["it is waiting for its database"]

    async with (
        watchdog.watch_loop(settings.stuck_seconds),
        monitoring.serve(settings, missing, lifetime.signals.drain),
        database(settings) as url,
    ):
        is_running = False
        while not stopping.is_set():
            try:
                async with build_worker(settings, url) as worker:
                    LOG.info("worker is running")
                    lifetime.report_ready()
                    is_running = True
                    working[:] = [worker]
                    await worker.run(stopping)
            except UNAVAILABLE as error:
                if not is_running:
                    raise
                LOG.warning("the database is unavailable; retrying", error=repr(error)[:200])
                working.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), settings.database_retry_seconds)


def main() -> None:
    """Run the program that the command line names."""
    arguments = argparse.ArgumentParser(prog="python -m control.app", description=__doc__)
    arguments.add_argument("program", choices=("control", "worker"), nargs="?", default="control")
    plane = arguments.parse_args().program
    settings = program.plane(ControlSettings, plane)
    if plane == "worker":
        os.nice(WORKER_NICE)  # calls come first
    uvloop.run(run_worker(settings) if plane == "worker" else run_control(settings))


if __name__ == "__main__":
    main()
