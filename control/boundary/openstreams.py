"""Open streams, which end when their credential no longer permits them.

A stream is admitted once, when it begins, and may then last for hours.  What takes rights away (a key is revoked, a person demoted or
removed, a session closed) publishes the id of the key, person or session on the bus, in its own transaction.  The streams of that id
are then admitted again; one that a new request of the same credential would not get ends with the refusal of that request.  A message
of a stream costs nothing.

A notification may be lost, and keys and sessions expire without one.  So all open streams are admitted again every `recheck_seconds`.
Streams of one credential share the query.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from control.boundary.admission import Admission
from control.boundary.call import Call
from control.bus import Bus, Channel
from hum.clock import Clock
from hum.errors import Refused
from hum.telemetry import log
from hum.v1 import options_pb2
from storage import revocations
from storage.db import AWAY, BUSY

LOG = log(__name__)
#: The key, person or session that lost rights; sent by the transaction that took them.
REVOKED = Channel(revocations.CHANNEL, UUID, str)
#: Seconds until streams are admitted again that could not be, because the database did not answer.
RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class OpenStream:
    """One stream, registered before its credential is looked up: rights that are taken in between are noticed too."""

    access: options_pb2.Access
    deadline: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    call: Call | None = None
    is_due: bool = False
    refusal: Refused | None = None

    def belongs_to(self, principal: UUID) -> bool:
        """Tell whether the stream may be this key's, person's or session's."""
        if self.call is None:
            return True
        who = self.call.who
        return principal in {who.key_id, who.user_id, who.session_id}

    def end(self, refusal: Refused) -> None:
        """Cancel the stream wherever it waits."""
        self.refusal = refusal
        self.deadline.reschedule(asyncio.get_running_loop().time())


class OpenStreams:
    """The open streams of this process."""

    def __init__(self, admission: Admission, bus: Bus, recheck_seconds: float, clock: Clock) -> None:
        self._admission, self._bus, self._clock = admission, bus, clock
        self._recheck_ms = recheck_seconds * 1000
        self._open = set[OpenStream]()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @asynccontextmanager
    async def one(self, access: options_pb2.Access) -> AsyncIterator[OpenStream]:
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

    def admit(self, stream: OpenStream, call: Call) -> None:
        """Say whose the stream is."""
        stream.call = call
        if stream.is_due:
            self._wake.set()

    def _add(self, stream: OpenStream) -> None:
        self._open.add(stream)
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(REVOKED, self._revoked)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="open streams")

    def _remove(self, stream: OpenStream) -> None:
        self._open.discard(stream)
        if not self._open:
            self._wake.set()  # the task ends
            if self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

    def _revoked(self, principal: UUID | None) -> None:
        if principal is None:  # one may have been lost: the next recheck finds it
            return
        for stream in self._open:
            if stream.belongs_to(principal):
                stream.is_due = True
                self._wake.set()

    async def _run(self) -> None:
        recheck_at_ms, has_failed = self._clock() + self._recheck_ms, False
        try:
            while self._open:
                rest_seconds = max(0.0, recheck_at_ms - self._clock()) / 1000
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(rest_seconds, RETRY_SECONDS) if has_failed else rest_seconds):
                        await self._wake.wait()
                self._wake.clear()
                if self._clock() >= recheck_at_ms:
                    recheck_at_ms = self._clock() + self._recheck_ms
                    for stream in self._open:
                        stream.is_due = True
                has_failed = not await self._admit_again()
        finally:
            self._task = None

    async def _admit_again(self) -> bool:
        """Admit the streams that are due, those of one credential together; False if some could not be."""
        due: dict[bytes, list[tuple[OpenStream, Call]]] = defaultdict(list)
        for stream in self._open:
            if stream.is_due and stream.call is not None:
                due[stream.call.credential].append((stream, stream.call))
        has_failed = False
        for credential, streams in due.items():
            has_failed |= not await self._admit_credential(credential, streams)
        return not has_failed

    async def _admit_credential(self, credential: bytes, streams: Sequence[tuple[OpenStream, Call]]) -> bool:
        for stream, _ in streams:  # before the query: rights that are taken meanwhile are asked for again
            stream.is_due = False
        try:
            who = await self._admission.current(credential)
        except Exception as error:
            for stream, _ in streams:
                stream.is_due = True
            if isinstance(error, (*AWAY, *BUSY)):
                LOG.warning("could not check whether open streams may go on; retrying", error=repr(error)[:200])
            else:
                LOG.exception("could not check whether open streams may go on: this is a bug")
            return False
        for stream, call in streams:
            if (refusal := self._admission.refusal(stream.access, call.who, who)) is not None:
                stream.end(refusal)
        return True
