"""Requests to control for the carrier's webhooks: repeated while control restarts, for as long as the carrier waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode, aio
from starlette.requests import Request

from gateway import credentials
from gateway.credentials import Metadata
from hum import rpc
from hum.clock import Clock, monotonic_ms
from hum.settings import GatewaySettings

#: Codes of a control that is stopping, starting, or waiting for its database or a lock: worth repeating in a moment.
PASSING = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.ABORTED}
#: Codes that refuse the request itself: repeating it changes nothing.
FINAL = {StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION}

Answer_co = TypeVar("Answer_co", covariant=True)


class Method(Protocol[Answer_co]):
    """A unary method of a stub."""

    def __call__(
        self, request: Any, *, timeout: float, metadata: Metadata, wait_for_ready: bool
    ) -> Awaitable[Answer_co]: ...


class Away(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time, or could not."""


async def ask(
    method: Method[Answer_co],
    request: Any,
    metadata: Callable[[], Metadata],
    *,
    within_seconds: float,
    pause_seconds: float,
    clock: Clock = monotonic_ms,
) -> Answer_co:
    """Send the request, and repeat it after each pause while control is away; it must be safe to repeat.

    Raises Away; AioRpcError with one of FINAL's codes.
    """
    ends_ms = clock() + 1000 * within_seconds
    while True:
        left_seconds = max(0.0, (ends_ms - clock()) / 1000)
        try:
            return await method(request, timeout=left_seconds, metadata=metadata(), wait_for_ready=True)
        except aio.AioRpcError as error:
            if error.code() in FINAL:
                raise
            if error.code() not in PASSING or clock() + 1000 * pause_seconds >= ends_ms:
                raise Away(error.code().name) from error
        await asyncio.sleep(pause_seconds)


class Asker:
    """Asks control on behalf of the carrier, for as long as the carrier waits."""

    def __init__(self, settings: GatewaySettings, identity: rpc.NodeIdentity) -> None:
        self._settings, self._identity = settings, identity
        self._zone = ((rpc.ZONE, settings.zone),) if settings.zone else ()

    async def ask(self, method: Method[Answer_co], message: Message, request: Request | None) -> Answer_co:
        """Control's answer; a restart of it is waited for.  Raises as `ask`."""

        def metadata() -> credentials.Metadata:
            return self._identity.metadata(), *self._zone, *(credentials.correlation(request) if request else ())

        return await ask(
            method,
            message,
            metadata,
            within_seconds=self._settings.ingress_seconds,
            pause_seconds=self._settings.ingress_retry_seconds,
        )
