"""Idempotency: a request that is repeated with its key gets the same answer, and no two of them act at the same time.

An answer is replayed only to the API key or person that sent the request.  An answer with a secret is not stored: its
row only records that the request was answered.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from google.protobuf.message import Message

from control.actors import actor
from control.boundary.context import ActionContext, SignedInContext, TransactionContext
from control.boundary.incoming import IncomingRequest
from hum import ids, rpc
from hum.contract.errors import IdempotencyInProgress, IdempotencyMismatch, Unavailable
from hum.observe.logs import log
from storage import idempotency
from storage.db import BUSY, UNAVAILABLE, Db
from storage.idempotency import KeyedRequest

LOG = log(__name__)
#: Runs the servicer.
Act = Callable[[], Awaitable[Message]]


class Idempotency:
    """The execution of requests with idempotency keys: run the servicer, or replay the key's answer.

    `keep`: how long a key is stored.  `lease`: how long a request with a key may act outside; the key of a process that
    died is free after that.
    """

    def __init__(self, db: Db, keep: timedelta, lease: timedelta) -> None:
        self._db, self._keep, self._lease = db, keep, lease

    async def inside(self, ctx: TransactionContext | SignedInContext, request: Message, act: Act) -> Message:
        """Act in the request's transaction, so that the answer is stored if and only if its effect commits."""
        incoming = ctx.incoming
        key = incoming.idempotency_key
        if key is None:
            return await act()
        personal = incoming.method.personal and ctx.principal.user_id is not None
        keyed = KeyedRequest(key, actor(ctx.principal), incoming.method.name, hash_of(request))
        if not await idempotency.try_lock(ctx.tx, key, personal=personal):
            raise IdempotencyInProgress
        row = await idempotency.find(ctx.tx, key, self._keep, personal=personal)
        if (replay := _replay(incoming, row, keyed)) is not None:
            return replay
        answer = await act()
        await idempotency.store(ctx.tx, keyed, _answer_to_store(incoming, answer), personal=personal)
        return answer

    async def outside(self, ctx: ActionContext, act: Act) -> Message:
        """Act without a transaction, under a claim that is committed first.

        A failure releases the key.  If the process dies or the request is cancelled, the claim remains and the effect
        is unknown: until the lease expires, duplicates get IdempotencyInProgress; then one of them takes over the key.
        So a method that must not repeat its effect stores a row of its own under `ctx.key`, and looks up the outcome.
        """
        if ctx.key is None:
            return await act()
        # Stop before the lease expires, so that no duplicate acts at the same time.
        deadline = asyncio.timeout(self._lease.total_seconds())
        try:
            async with deadline:
                return await self._act_under_claim(ctx, ctx.key, act)
        except TimeoutError:
            if deadline.expired():
                raise Unavailable("The request took too long and was stopped; try again with the same key.") from None
            raise

    async def _act_under_claim(self, ctx: ActionContext, key: str, act: Act) -> Message:
        incoming, claim, org = ctx.incoming, ids.new(), ctx.organization
        keyed = KeyedRequest(key, actor(ctx.principal), incoming.method.name, ctx.body_hash)
        async with self._db.tenant(org) as tx:
            if not await idempotency.try_lock(tx, key):
                raise IdempotencyInProgress
            row = await idempotency.find(tx, key, self._keep)
            if (replay := _replay(incoming, row, keyed)) is not None:
                return replay
            await idempotency.claim(tx, keyed, claim, incoming.request_id, self._lease)
        try:
            answer = await act()
        # Any failure frees the key.  A cancellation does not: whether the action had its effect is unknown then.
        except Exception:
            await self._release(org, key, claim)
            raise
        async with self._db.tenant(org) as tx:
            await idempotency.answer(tx, key, claim, _answer_to_store(incoming, answer))
        return answer

    async def _release(self, org: UUID, key: str, claim: UUID) -> None:
        """Release a key.  Raises nothing: the client gets the failure for which the key is released."""
        try:
            try:
                await self._delete_claim(org, key, claim)
            except BUSY:
                await self._delete_claim(org, key, claim)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning(
                "could not release an idempotency key; it is free when its lease expires", error=repr(error)[:200]
            )

    async def _delete_claim(self, org: UUID, key: str, claim: UUID) -> None:
        async with self._db.tenant(org) as tx:
            await idempotency.release(tx, key, claim)


def hash_of(request: Message) -> bytes:
    """Return a hash that distinguishes a request from others with the same idempotency key."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _answer_to_store(incoming: IncomingRequest, answer: Message) -> bytes:
    """Return the bytes to store for an answer, and count them; empty if it contains a secret."""
    stored = b"" if incoming.method.access.answers_secret else answer.SerializeToString()
    incoming.count_stored(len(stored))
    return stored


def _replay(incoming: IncomingRequest, row: idempotency.KeyRow | None, keyed: KeyedRequest) -> Message | None:
    """Return the answer to replay; None if the request may act.  Raises IdempotencyMismatch, IdempotencyInProgress."""
    if row is None:
        return None
    if row.actor != keyed.actor:
        raise IdempotencyMismatch("This Idempotency-Key was used with another credential; use a new key.")
    if (row.method, row.body_hash) != (keyed.method, keyed.body_hash):
        raise IdempotencyMismatch
    if row.answer is not None and incoming.method.access.answers_secret:
        raise IdempotencyMismatch(
            "This request was already answered, and the secret in the answer is never sent twice. "
            "If you lost it, revoke what was created and create another with a new Idempotency-Key."
        )
    if row.answer is not None:
        incoming.trailing[rpc.REPLAYED] = "true"
        return incoming.method.response_type.FromString(row.answer)
    if row.leased:
        raise IdempotencyInProgress
    return None
