"""What a feature provides.  Each noun of control declares it in its own `feature.py`; `control/app.py` composes them.

A feature is built the same way in `hum control`, which serves its services, and in `hum worker`, which runs its jobs,
sweeps and readers.
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
from control.bus import Bus, Channel
from control.clients.embeddings import Embedder
from control.clients.http import Guarded
from control.clients.openai import Responder, Speech, Transcriber, Writer
from control.clients.twilio import Carrier, Lookups
from control.tools import Approver, Registry, Source, Tool
from hum.objects.files import Files
from hum.secrets import Keyring
from storage.db import Db, Tx
from storage.events import Event, Start

Handler = Callable[[UUID, UUID], Awaitable[object]]
"""Runs a job, given its organization and row.  If it raises, it is retried, after the error's `retry_after_seconds`."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A step that every worker repeats; safe to repeat, and to run concurrently."""

    name: str
    step: Callable[[], Awaitable[object]]
    every_seconds: float
    #: Set when it should not wait for its time; the step clears it.
    woken: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the outbox with a cursor: each event of these types once, in the order of commits.

    `handle` gets a batch in the transaction that moves the cursor.  An event that it can't handle is set aside with the
    reason, and the reader goes on with the next.
    """

    name: str
    start: Start
    types: frozenset[str]
    handle: Callable[[Tx, Sequence[Event]], Awaitable[None]]
    every_seconds: float
    #: Whether it also gets the events whose payload was deleted; most readers have nothing to do for those.
    takes_emptied: bool = False
    #: Whether what an organization has beyond its share of a batch is read apart, so that it delays nobody: each event once, in the
    #: order of each organization's commits.
    shares: bool = False


@dataclass(frozen=True, slots=True)
class Outside:
    """External systems, as features reach them."""

    carrier: Carrier
    lookups: Lookups
    speech: Speech
    writer: Writer
    transcriber: Transcriber
    responder: Responder
    #: None: this deployment has no billing.
    payments: Payments | None = None
    #: None: this deployment has no embeddings.
    embedder: Embedder | None = None


@dataclass(slots=True)
class Place:
    """Where media processes reach this process and no other; known once it serves, and nowhere for a worker."""

    address: str = ""


@dataclass(frozen=True, slots=True)
class Deps:
    """What a feature may depend on."""

    db: Db
    #: The same database by connections of its own: the carrier's webhooks and calls don't wait behind requests.
    calls_db: Db
    bus: Bus
    boundary: Boundary
    cursors: Cursors
    outside: Outside
    #: The only way to a customer's URL.
    web: Guarded
    #: Seals what customers entrust to us and we must use again.
    keyring: Keyring
    #: The tools of all features, complete once all of them are built.
    tools: Registry
    #: Set when this process is asked to stop: open streams must end.
    stopping: asyncio.Event
    place: Place
    #: Recordings, voicemails and files of texts.
    files: Files


@dataclass(frozen=True, slots=True)
class Feature:
    services: Mapping[ServiceDescriptor, object] = field(default_factory=dict)
    jobs: Mapping[Job, Handler] = field(default_factory=dict)
    sweeps: Sequence[Sweep] = ()
    readers: Sequence[Reader] = ()
    channels: Sequence[Channel[Any]] = ()
    #: What a worker does when it is told something on the bus, or None: that something may have been missed.
    wakes: Mapping[Channel[Any], Callable[[Any], None]] = field(default_factory=dict)
    tools: Sequence[Tool] = ()
    #: Where the tools come from that organizations made themselves.
    tool_sources: Sequence[Source] = ()
    #: Asks a person whether a tool may run; one feature does.
    approver: Approver | None = None
    #: What keeps a worker from doing this feature's work in time, a sentence each; part of its readiness.
    missing: Callable[[], Awaitable[Sequence[str]]] | None = None
