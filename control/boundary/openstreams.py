"""Open streams, which end when their credential no longer permits them.

A stream is admitted when it begins, and may then last for hours.  A transaction that revokes rights (revokes a key,
demotes or removes a person, closes a session) notifies the id of the key, person or session on the bus.  The streams of
that id are then admitted again; a stream that a new request would not get ends with that request's refusal.  Messages
are not checked.

Notifications may be lost, and keys and sessions expire without one.  So all open streams are admitted again every
`recheck_seconds`.  Streams of the same credential share the query.

For example: a key with two streams is revoked.  Both streams become due, one query returns no principal, and both end
with ApiKeyRequired.  If the database is unavailable, they stay due and open, and are tried again after `RETRY_SECONDS`.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from control.boundary.authentication import Authentication
from control.boundary.context import TenantContext
from control.bus import Bus, BusChannel
from hum.clock import Clock
from hum.contract.errors import RequestRefused
from hum.observe.logs import log
from hum.v1 import options_pb2
from storage import revocations
from storage.db import BUSY, UNAVAILABLE

LOG = log(__name__)
#: The key, person or session that lost rights; sent by the transaction that revoked them.
REVOKED = BusChannel(revocations.CHANNEL, UUID, str)
#: Seconds until the next attempt when the database was unavailable.
RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class OpenStream:
    """A stream, registered before its credential is looked up, so that a revocation in between is not missed."""

    access: options_pb2.Access
    deadline: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    ctx: TenantContext | None = None
    is_due: bool = False
    refusal: RequestRefused | None = None

    def belongs_to(self, id: UUID) -> bool:
        """Tell whether the stream may belong to this key, person or session."""
        if self.ctx is None:
            return True
        principal = self.ctx.principal
        return id in {principal.key_id, principal.user_id, principal.session_id}

    def end(self, refusal: RequestRefused) -> None:
        """Cancel the stream wherever it waits."""
        self.refusal = refusal
        self.deadline.reschedule(asyncio.get_running_loop().time())


class OpenStreams:
    """The open streams of this process."""

    def __init__(self, authentication: Authentication, bus: Bus, recheck_seconds: float, clock: Clock) -> None:
        self._authentication, self._bus, self._clock = authentication, bus, clock
        self._recheck_ms = recheck_seconds * 1000
        self._streams = set[OpenStream]()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @asynccontextmanager
    async def open(self, access: options_pb2.Access) -> AsyncIterator[OpenStream]:
        """Watch over a stream while the context is open.  Raises the refusal that ended it."""
        stream = OpenStream(access)
        self._add(stream)
        try:
            async with stream.deadline:
                yield stream
        except TimeoutError:
            if stream.refusal is None:
                raise
            raise stream.refusal from None
        finally:
            self._remove(stream)

    def admit(self, stream: OpenStream, ctx: TenantContext) -> None:
        """Record the request context of a stream that was admitted."""
        stream.ctx = ctx
        if stream.is_due:
            self._wake.set()

    def _add(self, stream: OpenStream) -> None:
        self._streams.add(stream)
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(REVOKED, self._revoked)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="open streams")

    def _remove(self, stream: OpenStream) -> None:
        self._streams.discard(stream)
        if not self._streams:
            self._wake.set()  # the task ends
            if self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

    def _revoked(self, principal: UUID | None) -> None:
        # A notification may have been lost: the next recheck makes up for it.
        if principal is None:
            return
        for stream in self._streams:
            if stream.belongs_to(principal):
                stream.is_due = True
                self._wake.set()

    async def _run(self) -> None:
        recheck_at_ms, has_failed = self._clock() + self._recheck_ms, False
        try:
            while self._streams:
                rest_seconds = max(0.0, recheck_at_ms - self._clock()) / 1000
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(rest_seconds, RETRY_SECONDS) if has_failed else rest_seconds):
                        await self._wake.wait()
                self._wake.clear()
                if self._clock() >= recheck_at_ms:
                    recheck_at_ms = self._clock() + self._recheck_ms
                    for stream in self._streams:
                        stream.is_due = True
                has_failed = not await self._admit_again()
        finally:
            self._task = None

    async def _admit_again(self) -> bool:
        """Check the streams that are due, those of a credential together; return False if some must be retried."""
        due: dict[bytes, list[tuple[OpenStream, TenantContext]]] = defaultdict(list)
        for stream in self._streams:
            if stream.is_due and stream.ctx is not None:
                due[stream.ctx.credential].append((stream, stream.ctx))
        has_failed = False
        for credential, streams in due.items():
            has_failed |= not await self._admit_credential(credential, streams)
        return not has_failed

    async def _admit_credential(self, credential: bytes, streams: Sequence[tuple[OpenStream, TenantContext]]) -> bool:
        # Before the query, so that a revocation during the query makes the streams due again.
        for stream, _ in streams:
            stream.is_due = False
        try:
            principal = await self._authentication.current(credential)
        # The boundary of one credential: the streams of the others are checked all the same, and these once more.
        except Exception as error:
            for stream, _ in streams:
                stream.is_due = True
            if isinstance(error, (*UNAVAILABLE, *BUSY)):
                LOG.warning("could not check whether open streams may continue; retrying", error=repr(error)[:200])
            else:
                LOG.exception("could not check whether open streams may continue: this is a bug")
            return False
        for stream, ctx in streams:
            if (refusal := self._authentication.refusal(stream.access, ctx.principal, principal)) is not None:
                stream.end(refusal)
        return True
