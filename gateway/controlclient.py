"""The client of control for webhooks, which retries while control restarts, for as long as the carrier waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode, aio
from starlette.requests import Request

from gateway import credentials, errors
from gateway.credentials import Metadata
from hum import rpc
from hum.clock import Clock, monotonic_ms
from hum.settings import GatewaySettings

#: Codes of a control that is stopping, starting, or waiting for its database or a lock: worth a retry in a moment.
TRANSIENT = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.ABORTED}
#: Codes that refuse the request itself: a retry changes nothing.
FINAL = {StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION}

Answer_co = TypeVar("Answer_co", covariant=True)


class UnaryMethod(Protocol[Answer_co]):
    """A stub's unary method."""

    def __call__(
        self, request: Any, *, timeout: float, metadata: Metadata, wait_for_ready: bool
    ) -> Awaitable[Answer_co]: ...


class ControlUnavailable(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time, or answered with a code that blames itself."""


class TimeLimitMet(ControlUnavailable):
    """Control is available, but this request takes the database longer than a statement may take."""


class NotConfirmedYet(ControlUnavailable):
    """Control is available, but the process that has the call did not confirm what it was told."""


async def ask(
    method: UnaryMethod[Answer_co],
    request: Any,
    metadata: Callable[[], Metadata],
    *,
    within_seconds: float,
    pause_seconds: float,
    clock: Clock = monotonic_ms,
) -> Answer_co:
    """Send the request, and retry it after each pause while control is unavailable; the request must be idempotent.

    Raises ControlUnavailable, TimeLimitMet and NotConfirmedYet without a retry, and AioRpcError with one of FINAL's codes.
    """
    deadline_ms = clock() + 1000 * within_seconds
    while True:
        left_seconds = max(0.0, (deadline_ms - clock()) / 1000)
        try:
            return await method(request, timeout=left_seconds, metadata=metadata(), wait_for_ready=True)
        except aio.AioRpcError as error:
            if error.code() in FINAL:
                raise
            if errors.reason(error) == rpc.NOT_CONFIRMED:
                raise NotConfirmedYet(error.code().name) from error
            if errors.facts(error) == rpc.TIME_LIMIT:
                raise TimeLimitMet(error.code().name) from error
            if error.code() not in TRANSIENT or clock() + 1000 * pause_seconds >= deadline_ms:
                raise ControlUnavailable(error.code().name) from error
        await asyncio.sleep(pause_seconds)


class RetryingClient:
    """A client of control that retries for as long as the carrier waits for its webhook."""

    def __init__(self, settings: GatewaySettings, identity: rpc.NodeIdentity) -> None:
        self._settings, self._identity = settings, identity
        self._zone = ((rpc.ZONE, settings.zone),) if settings.zone else ()

    async def ask(self, method: UnaryMethod[Answer_co], message: Message, request: Request | None) -> Answer_co:
        """Return control's answer, waiting while control restarts.  Raises as the function `ask` does."""

        def metadata() -> credentials.Metadata:
            return self._identity.metadata(), *self._zone, *(credentials.correlation(request) if request else ())

        return await ask(
            method,
            message,
            metadata,
            within_seconds=self._settings.ingress_seconds,
            pause_seconds=self._settings.ingress_retry_seconds,
        )
