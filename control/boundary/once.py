"""Idempotency: a request that was answered under this key gets the same answer again."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from google.protobuf.message import Message

from control.boundary.call import Call
from control.boundary.passage import Passage
from hum import rpc
from hum.errors import IdempotencyInProgress, IdempotencyMismatch
from storage import idempotency
from storage.db import Db

Act = Callable[[Call], Awaitable[Message]]


class Once:
    """Lets a servicer act, or repeats the answer that this idempotency key got before."""

    def __init__(self, db: Db, keep: timedelta) -> None:
        self._db, self._keep = db, keep

    async def inside(self, passage: Passage, call: Call, request: Message, act: Act) -> Message:
        """Act in the tenant's transaction: the answer is kept if and only if its effect is."""
        key = passage.idempotency_key
        if key is None:
            return await act(call)
        personal = passage.method.personal and call.who.user_id is not None
        if not await idempotency.try_lock(call.tx, key, personal=personal):
            raise IdempotencyInProgress
        body_hash = hash_of(request)
        seen = await idempotency.find(call.tx, key, self._keep, personal=personal)
        if seen is not None:
            return _replay(passage, seen, body_hash)
        answer = await act(call)
        remembered = idempotency.Remembered(passage.method.name, body_hash, answer.SerializeToString())
        await idempotency.store(call.tx, key, remembered, personal=personal)
        return answer

    async def outside(self, passage: Passage, call: Call, act: Act) -> Message:
        """Act without a transaction: the request may die between its own, so what must not be done twice it remembers
        by itself, with the key on its own row.
        """
        if call.key is None:
            return await act(call)
        async with self._db.tenant(call.who.org_id) as tx:
            seen = await idempotency.find(tx, call.key, self._keep)
        if seen is not None:
            return _replay(passage, seen, call.body_hash)
        answer = await act(call)
        async with self._db.tenant(call.who.org_id) as tx:
            remembered = idempotency.Remembered(passage.method.name, call.body_hash, answer.SerializeToString())
            await idempotency.store(tx, call.key, remembered)
        return answer


def hash_of(request: Message) -> bytes:
    """What tells one request under a key from another."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _replay(passage: Passage, seen: idempotency.Remembered, body_hash: bytes) -> Message:
    if (seen.method, seen.body_hash) != (passage.method.name, body_hash):
        raise IdempotencyMismatch
    passage.trailing[rpc.REPLAYED] = "true"
    return passage.method.response_type.FromString(seen.answer)
