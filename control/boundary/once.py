"""Idempotency: a request repeated under its key gets the same answer, and no two of them act at once.

The answer is repeated only to the API key or person that made the request.  An answer that holds a secret is not
stored: its key only records that the request was answered.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from google.protobuf.message import Message

from control.audit.usecases import actor
from control.boundary.call import Call
from control.boundary.passage import Passage
from hum import ids, rpc
from hum.errors import IdempotencyInProgress, IdempotencyMismatch, Unavailable
from hum.telemetry import log
from storage import idempotency
from storage.db import AWAY, Db
from storage.idempotency import Keyed

LOG = log(__name__)
Act = Callable[[Call], Awaitable[Message]]


class Once:
    """Lets a servicer act, or repeats the answer that this idempotency key got before.

    `keep`: how long a key is remembered.  `lease`: the longest that a keyed request may act outside; a key whose owner
    died is free after that.
    """

    def __init__(self, db: Db, keep: timedelta, lease: timedelta) -> None:
        self._db, self._keep, self._lease = db, keep, lease

    async def inside(self, passage: Passage, call: Call, request: Message, act: Act) -> Message:
        """Act in the tenant's transaction: the answer is kept if and only if its effect is."""
        key = passage.idempotency_key
        if key is None:
            return await act(call)
        personal = passage.method.personal and call.who.user_id is not None
        keyed = Keyed(key, actor(call.who), passage.method.name, hash_of(request))
        if not await idempotency.try_lock(call.tx, key, personal=personal):
            raise IdempotencyInProgress
        row = await idempotency.find(call.tx, key, self._keep, personal=personal)
        if (known := _known(passage, row, keyed)) is not None:
            return known
        answer = await act(call)
        await idempotency.store(call.tx, keyed, _kept(passage, answer), personal=personal)
        return answer

    async def outside(self, passage: Passage, call: Call, act: Act) -> Message:
        """Act without a transaction, under a claim that is committed before anything happens.

        A failure releases the key.  A request that dies or is cancelled leaves its claim, and what it has done is
        unknown: until its lease expires, duplicates get IdempotencyInProgress; then one of them takes the key over.  So
        a method whose effect must not be repeated keeps a row of its own under `call.key` and looks up the outcome.
        """
        if call.key is None:
            return await act(call)
        # It stops before its lease expires, so that no duplicate acts at the same time.
        deadline = asyncio.timeout(self._lease.total_seconds())
        try:
            async with deadline:
                return await self._claimed(passage, call, call.key, act)
        except TimeoutError:
            if deadline.expired():
                raise Unavailable("The request took too long and was stopped; try again with the same key.") from None
            raise

    async def _claimed(self, passage: Passage, call: Call, key: str, act: Act) -> Message:
        claim, org = ids.new(), call.who.org_id
        keyed = Keyed(key, actor(call.who), passage.method.name, call.body_hash)
        async with self._db.tenant(org) as tx:
            if not await idempotency.try_lock(tx, key):
                raise IdempotencyInProgress
            row = await idempotency.find(tx, key, self._keep)
            if (known := _known(passage, row, keyed)) is not None:
                return known
            await idempotency.claim(tx, keyed, claim, passage.request_id, self._lease)
        try:
            answer = await act(call)
        except Exception:
            await self._release(org, key, claim)
            raise
        async with self._db.tenant(org) as tx:
            await idempotency.answer(tx, key, claim, _kept(passage, answer))
        return answer

    async def _release(self, org: UUID, key: str, claim: UUID) -> None:
        try:
            async with self._db.tenant(org) as tx:
                await idempotency.release(tx, key, claim)
        except AWAY as error:
            LOG.warning("an idempotency key stays claimed until its lease ends", error=repr(error)[:200])


def hash_of(request: Message) -> bytes:
    """Distinguishes one request under a key from another."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _kept(passage: Passage, answer: Message) -> bytes:
    """The bytes to store for an answer; none if it holds a secret."""
    return b"" if passage.method.access.answers_secret else answer.SerializeToString()


def _known(passage: Passage, row: idempotency.KeyRow | None, keyed: Keyed) -> Message | None:
    """The answer to repeat; None when the request may act.  Raises IdempotencyMismatch, IdempotencyInProgress."""
    if row is None:
        return None
    if row.actor != keyed.actor:
        raise IdempotencyMismatch("This Idempotency-Key was used with another credential; use a new key.")
    if (row.method, row.body_hash) != (keyed.method, keyed.body_hash):
        raise IdempotencyMismatch
    if row.answer is not None and passage.method.access.answers_secret:
        raise IdempotencyMismatch(
            "This request was already answered, and the secret in the answer is never sent twice. "
            "If you lost it, revoke what was created and create another with a new Idempotency-Key."
        )
    if row.answer is not None:
        passage.trailing[rpc.REPLAYED] = "true"
        return passage.method.response_type.FromString(row.answer)
    if row.leased:
        raise IdempotencyInProgress
    return None
