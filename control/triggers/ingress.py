"""HooksIngressService (proto/hum/v1/runtime.proto): other systems' posts to triggers, forwarded by the gateway.

The body is stored unchanged, and appended to the outbox, in one transaction; flows that it starts read it from there.  An unknown
address learns nothing, and look-ups count against the client's rate limit, beyond which no transaction is opened.
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from control.base.rates import Rates
from control.boundary import NodeContext
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.triggers import payloads
from control.triggers.payloads import BadHook, Signed
from control.triggers.usecases import TABLE
from hum import ids
from hum.clock import Clock, monotonic_ms, now
from hum.contract.errors import FieldError, InvalidRequest, NotFound, RateLimited, RequestRefused
from hum.ids import Kind
from hum.secrets import Keyring, SealContext
from hum.v1 import events_pb2
from hum.v1 import runtime_pb2 as pb
from storage import events, triggers
from storage.db import BUSY, UNAVAILABLE, Db, Tx
from storage.triggers import NewTriggerDelivery, TriggerRow

HOOKS = Counter("hum_hooks_total", "Posts of other systems to triggers, by outcome", ["how"])
#: The size of the cache of addresses, with LRU eviction.
MOST_KNOWN = 10_000
#: The limit may be raised, and be enough, later the same day.
DAY_RETRY_SECONDS = "3600"
#: The same sentence for an address that never existed, or was replaced, disabled or deleted.
NO_SUCH = "There is no such address."


class BadSignature(RequestRefused):
    """The refusal of a missing or wrong signature."""

    # Not PERMISSION_DENIED, which means that this gateway lacks permission, and is retried.
    code, reason = "INVALID_ARGUMENT", "FORBIDDEN"


class UnsupportedMediaType(RequestRefused):
    """The refusal of a body's media type."""

    code, reason = "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE"


@dataclass(frozen=True, slots=True)
class TriggerBounds:
    """The limits of posts.  Rates: per trigger, per organization, and `unknown`: per client address that tries unknown tokens."""

    trigger: Rates
    organization: Rates
    unknown: Rates
    tolerance_seconds: float
    event_bytes: int
    day_bytes: int


class HooksIngressServicer:
    def __init__(
        self,
        db: Db,
        keyring: Keyring,
        concurrency: ConcurrencyLimits,
        bounds: TriggerBounds,
        clock: Clock = monotonic_ms,
    ) -> None:
        self._db, self._keyring, self._concurrency, self._bounds, self._clock = db, keyring, concurrency, bounds, clock
        #: The trigger and organization of recent addresses; a hit only skips the limit of unknown ones, and proves nothing.
        self._known: OrderedDict[bytes, tuple[UUID, UUID]] = OrderedDict()
        #: Look-ups in flight: concurrent requests for an address share one, which counts as one attempt.
        self._lookups: dict[bytes, asyncio.Task[tuple[UUID, UUID]]] = {}

    async def ReceiveHook(self, request: pb.ReceiveHookRequest, _: NodeContext) -> pb.ReceiveHookResponse:
        proposed = ids.require(Kind.TRIGGER_DELIVERY, request.delivery_id)  # the gateway's
        trigger, org = self._known.get(request.token_hash) or await self._shared_look_up(request)
        now_ms = self._clock()
        self._bounds.trigger.consume(trigger.bytes, now_ms)
        self._bounds.organization.consume(org.bytes, now_ms)
        async with self._concurrency.enter(org):
            try:
                async with self._db.system() as tx:
                    id = await self._receive(tx, request, proposed, now())
            except BadHook as bad:
                async with self._db.system() as tx:
                    await triggers.record_refusal(tx, trigger, bad.what)
                HOOKS.labels(bad.what).inc()
                raise _refusal(bad) from bad
        HOOKS.labels("new" if id is None else "repeated").inc()
        public_id = ids.show(Kind.TRIGGER_DELIVERY, proposed if id is None else id)
        return pb.ReceiveHookResponse(id=public_id, is_repetition=id is not None and id != proposed)

    async def _shared_look_up(self, request: pb.ReceiveHookRequest) -> tuple[UUID, UUID]:
        """Return the trigger and organization of an address, with one look-up for all concurrent requests.

        Raises NotFound, RateLimited.
        """
        task = self._lookups.get(request.token_hash)
        if task is None:
            task = self._lookups[request.token_hash] = asyncio.create_task(
                self._look_up(request), name="look up a hook"
            )
            task.add_done_callback(lambda _: self._lookups.pop(request.token_hash))
        return await asyncio.shield(task)

    async def _look_up(self, request: pb.ReceiveHookRequest) -> tuple[UUID, UUID]:
        """Look up an uncached address, within the client's rate limit.  Raises NotFound, RateLimited."""
        address = request.client_address.encode()
        self._bounds.unknown.consume(address, self._clock())
        try:
            async with self._db.system() as tx:
                row = await self._find(tx, request.token_hash)
        except (*UNAVAILABLE, *BUSY):  # an outage costs the client nothing
            self._bounds.unknown.refund(address)
            raise
        self._bounds.unknown.refund(address)
        return row.id, row.org_id

    async def _find(self, tx: Tx, token_hash: bytes) -> TriggerRow:
        row = await triggers.find(tx, token_hash)
        if row is None:
            self._known.pop(token_hash, None)
            HOOKS.labels("unknown").inc()
            raise NotFound(NO_SUCH)
        self._known[token_hash] = row.id, row.org_id
        self._known.move_to_end(token_hash)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return row

    async def _receive(self, tx: Tx, request: pb.ReceiveHookRequest, proposed: UUID, at: datetime) -> UUID | None:
        """Store a post, once; return the id of the delivery that it repeats, or None if it is new.  Raises BadHook, RateLimited."""
        row = await self._find(tx, request.token_hash)
        signed = _signature(request)
        if row.secret is not None:
            payloads.require_signed(
                self._keys(row), signed, request.body, at.timestamp(), self._bounds.tolerance_seconds
            )
        payload = payloads.payload(request.content_type, request.body)
        is_signed = row.secret is not None
        key = payloads.key_of(request.idempotency_key, request.webhook_id, payload, row.id_field, is_signed=is_signed)
        new = NewTriggerDelivery(
            id=proposed,
            event_id=ids.new(),
            media_type=payloads.media_type(request.content_type),
            body=request.body,
            body_hash=hashlib.sha256(request.body).digest(),
            key_source=key.source if key else None,
            key=key.shown if key else None,
            key_hash=key.hash if key else None,
        )
        if (repeated := await triggers.receive(tx, row, new)) is not None:
            return repeated
        event = events_pb2.ExternalEvent(
            trigger_id=ids.show(Kind.TRIGGER, row.id),
            delivery_id=ids.show(Kind.TRIGGER_DELIVERY, proposed),
            body_bytes=len(request.body),
        )
        if len(payload.encode()) <= self._bounds.event_bytes:
            event.payload_json = payload
        await events.append(tx, row.org_id, row.id, event, id=new.event_id, name=row.event)
        # The last statement, as it locks the organization's row of the day until the commit.
        if await triggers.count_bytes(tx, row.org_id, len(request.body)) > self._bounds.day_bytes:
            raise RateLimited(
                f"The organization's triggers received {self._bounds.day_bytes} bytes today, which is the limit.",
                retry_after_seconds=DAY_RETRY_SECONDS,
            )
        return None

    def _keys(self, row: TriggerRow) -> list[bytes]:
        place = SealContext(TABLE, row.id, row.org_id)
        sealed = [row.secret, row.old_secret if row.is_old_secret_good else None]
        return [self._keyring.open(secret, place) for secret in sealed if secret is not None]


def _signature(request: pb.ReceiveHookRequest) -> Signed | None:
    if not (request.webhook_id and request.webhook_timestamp and request.webhook_signature):
        return None
    return Signed(request.webhook_id, request.webhook_timestamp, request.webhook_signature)


def _refusal(bad: BadHook) -> RequestRefused:
    match bad.what:
        case "signature":
            return BadSignature(str(bad))
        case "media_type":
            return UnsupportedMediaType(str(bad))
        case _:
            return InvalidRequest([FieldError("body", str(bad))])
