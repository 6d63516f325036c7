"""Admission of a client before the gateway works for it: control says whether it accepts the credential.

Control authenticates every request itself.  This only keeps clients with made-up credentials from having the gateway
read, parse and check large bodies, and makes them count against control's limit for unknown credentials.
"""

import asyncio
from collections import OrderedDict
from typing import Final

from grpc import aio
from starlette.requests import Request

from gateway.credentials import ClientCredentials, Metadata
from hum import rpc, secrets
from hum.clock import Clock, monotonic_ms
from hum.v1 import identity_pb2 as pb
from hum.v1 import identity_pb2_grpc

#: Bodies up to this size are cheaper to check than to ask control about.
MAX_UNADMITTED_BYTES: Final = 16 << 10
ACCEPTED_MS: Final = 30_000.0
#: Most credentials that are remembered as accepted; the oldest are dropped first.
MAX_ACCEPTED: Final = 10_000


class ClientAdmission:
    """The credentials that control has accepted lately; it has `seconds` to answer about another."""

    def __init__(
        self, channel: aio.Channel, client: ClientCredentials, seconds: float, clock: Clock = monotonic_ms
    ) -> None:
        self._get_me = identity_pb2_grpc.IdentityServiceStub(channel).GetMe
        self._client, self._seconds, self._clock = client, seconds, clock
        #: The time at which each was accepted, by its hash, oldest first.
        self._accepted: OrderedDict[bytes, float] = OrderedDict()
        #: The questions in flight, by credential and the organization that its request names.
        self._questions: dict[tuple[bytes, str], asyncio.Task[None]] = {}

    async def admit(self, request: Request) -> None:
        """Return if control accepts the credential, or did lately.  Raises AioRpcError with control's refusal.

        The credential is well formed.  Asking counts as a request of it, so requests at the same time share one question.
        """
        metadata = self._client.caller_metadata(request)
        fields = dict(metadata)
        credential = secrets.token_hash(fields[rpc.CREDENTIAL])
        if self._clock() < self._accepted.get(credential, float("-inf")) + ACCEPTED_MS:
            return
        key = credential, fields.get(rpc.ORGANIZATION, "")
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = asyncio.create_task(self._ask(credential, metadata), name="admission")
            question.add_done_callback(lambda answered: self._remove(key, answered))
        # Unlike an await of the task, this does not cancel it with one of its requests.
        await asyncio.wait((question,))
        question.result()

    async def _ask(self, credential: bytes, metadata: Metadata) -> None:
        await self._get_me(pb.GetMeRequest(), metadata=metadata, timeout=self._seconds)
        self._accepted[credential] = self._clock()
        self._accepted.move_to_end(credential)
        if len(self._accepted) > MAX_ACCEPTED:
            self._accepted.popitem(last=False)

    def _remove(self, key: tuple[bytes, str], answered: asyncio.Task[None]) -> None:
        del self._questions[key]
        # Mark its error as seen: the requests may be gone.
        if not answered.cancelled():
            answered.exception()


def has_large_body(request: Request) -> bool:
    """Tell whether the request's body is larger than `MAX_UNADMITTED_BYTES`, or may be."""
    size_bytes = int(request.headers.get("content-length") or 0)
    return "transfer-encoding" in request.headers or size_bytes > MAX_UNADMITTED_BYTES
