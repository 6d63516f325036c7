"""What a feature brings.  Each noun of control says it in its own `feature.py`; `control/app.py` composes them.

A feature is built alike in `hum control`, which serves its services, and in `hum worker`, which does its jobs, sweeps
and readings.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import ServiceDescriptor

from control.base.job import Job
from control.base.paging import Cursors
from control.boundary import Boundary
from control.bus import Bus, Channel
from control.clients.openai import Speech, Writer
from control.clients.twilio import Carrier, Lookups
from control.tools import Registry, Tool
from storage.db import Db, Tx
from storage.events import Event, Start

Handler = Callable[[UUID, UUID], Awaitable[object]]
"""Does a job: organization, row.  What it raises is tried again; `retry_after_seconds` on the error says when."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A step that every worker takes again and again; safe to repeat, and to take side by side."""

    name: str
    step: Callable[[], Awaitable[object]]
    every_seconds: float


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the outbox with a cursor: each event of these types once, in the order of commits.

    `handle` gets a batch in the transaction that moves the cursor.  An event that it can't handle is put aside with the
    reason, and those behind it go on.
    """

    name: str
    start: Start
    types: frozenset[str]
    handle: Callable[[Tx, Sequence[Event]], Awaitable[None]]
    every_seconds: float


@dataclass(frozen=True, slots=True)
class Outside:
    """Systems of other people, as features reach them."""

    carrier: Carrier
    lookups: Lookups
    speech: Speech
    writer: Writer


@dataclass(frozen=True, slots=True)
class Deps:
    """What a feature may build on."""

    db: Db
    bus: Bus
    boundary: Boundary
    cursors: Cursors
    outside: Outside
    #: The tools of all features, complete once all of them are built.
    tools: Registry
    #: Set when this process is asked to stop: who holds a stream open lets it go.
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class Feature:
    services: Mapping[ServiceDescriptor, object] = field(default_factory=dict)
    jobs: Mapping[Job, Handler] = field(default_factory=dict)
    sweeps: Sequence[Sweep] = ()
    readers: Sequence[Reader] = ()
    channels: Sequence[Channel[Any]] = ()
    tools: Sequence[Tool] = ()
