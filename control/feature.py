"""The parts of a feature.  Each feature declares them in its own `feature.py`, and `control/app.py` composes them.

A feature is built in the same way in `hum control`, which serves its services, and in `hum worker`, which runs its
jobs, sweeps and readers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import ServiceDescriptor

from control.base.job import Job
from control.base.paging import Cursors
from control.base.subscriptions import Payments
from control.boundary import Boundary
from control.bus import Bus, BusChannel
from control.clients.embeddings import Embedder
from control.clients.http import GuardedClient
from control.clients.openai import Responder, Synthesizer, Transcriber, Writer
from control.clients.twilio import CarrierClient, Lookups
from control.outlook import Due
from control.pacing import NET_SECONDS, ActivityHints
from control.tools import AgentTool, Approver, Catalog, Registry, Source
from hum.objects.files import Files
from hum.secrets import Keyring
from storage.db import Db, Tx
from storage.events import Event, ReaderStart

Handler = Callable[[UUID, UUID], Awaitable[object]]
"""Runs a job, given its organization and row.  If it raises, the job is retried, after the error's `retry_after_seconds`."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A step that every worker repeats: idempotent, and safe to run concurrently.

    It returns how many rows it found, where it knows.
    """

    name: str
    step: Callable[[], Awaitable[object]]
    every_seconds: float
    #: Set to run the step at once; the step clears it.
    woken: asyncio.Event | None = None
    #: Tells when the next of its rows is due, if hints of what people and others do don't.
    due: Due | None = None
    #: Seconds between runs when nothing has happened for long.
    net_seconds: float = NET_SECONDS


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of the outbox with a cursor: it gets each event of these types once, in the order of commits.

    `handle` gets a batch in the transaction that moves the cursor.  An event that it can't handle is quarantined with
    the reason, and the reader continues with the next.
    """

    name: str
    start: ReaderStart
    types: frozenset[str]
    handle: Callable[[Tx, Sequence[Event]], Awaitable[None]]
    every_seconds: float
    #: Whether it also gets events with a deleted payload; most readers need none of those.
    takes_emptied: bool = False
    #: Whether an organization's backlog beyond its share of a batch is read behind a cursor of its own, so that it
    #: delays no other organization.  The order of commits then only holds within an organization.
    shares: bool = False


@dataclass(frozen=True, slots=True)
class ExternalClients:
    """The clients of external systems."""

    carrier: CarrierClient
    lookups: Lookups
    speech: Synthesizer
    writer: Writer
    transcriber: Transcriber
    responder: Responder
    #: None: this deployment has no billing.
    payments: Payments | None = None
    #: None: this deployment has no embeddings.
    embedder: Embedder | None = None


@dataclass(slots=True)
class OwnAddress:
    """The address at which media processes reach this process and no other; empty in a worker and before it serves."""

    address: str = ""


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of features."""

    db: Db
    #: The same database with a pool of its own, so that the carrier's webhooks and calls don't wait behind requests.
    calls_db: Db
    bus: Bus
    hints: ActivityHints
    boundary: Boundary
    cursors: Cursors
    clients: ExternalClients
    #: The only way to a customer's URL.
    web: GuardedClient
    #: Seals customers' secrets that must be used again.
    keyring: Keyring
    #: The tools of all features, complete once all features are built.
    tools: Registry
    #: Set when this process is asked to stop: open streams must end.
    stopping: asyncio.Event
    own_address: OwnAddress
    #: Recordings, voicemails and files of texts.
    files: Files


@dataclass(frozen=True, slots=True)
class Feature:
    """The parts of a feature."""

    services: Mapping[ServiceDescriptor, object] = field(default_factory=dict)
    jobs: Mapping[Job, Handler] = field(default_factory=dict)
    sweeps: Sequence[Sweep] = ()
    readers: Sequence[Reader] = ()
    channels: Sequence[BusChannel[Any]] = ()
    #: A worker's listeners on the bus; they get None when a message may have been lost.
    wakes: Mapping[BusChannel[Any], Callable[[Any], None]] = field(default_factory=dict)
    tools: Sequence[AgentTool] = ()
    #: The sources of organizations' own tools.
    tool_sources: Sequence[Source] = ()
    #: Tells which services can be booked; only one feature has it.
    catalog: Catalog | None = None
    #: Asks a person whether a tool may run; only one feature has it.
    approver: Approver | None = None
    #: Why a worker can't do this feature's work in time, a sentence each; part of its readiness.
    missing: Callable[[], Awaitable[Sequence[str]]] | None = None
