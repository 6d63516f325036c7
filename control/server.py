"""Control's gRPC server: the services behind the boundary, health, reflection, and a graceful shutdown."""

import asyncio
import socket
from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from control.boundary import Boundary
from hum import rpc
from hum.network import parse_listen
from hum.settings import ControlSettings

WILDCARDS = ("0.0.0.0", "::")
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
#: Streams of reflection that are open at a time, and how long each may be.
MOST_REFLECTIONS, REFLECTION_SECONDS = 8, 30.0


def _own_address(server: aio.Server, settings: ControlSettings) -> str:
    """Have the server listen on a port of its own process; return the address at which media processes reach it."""
    host = parse_listen(settings.control_listen).host
    listen = settings.control_own_listen or f"{_bracketed(host)}:0"
    port = rpc.bind(server, settings, listen)
    configured = settings.control_own_address
    if configured.rpartition(":")[2].isdecimal() and not configured.endswith("]"):
        return configured
    host = parse_listen(listen).host
    return f"{configured or _bracketed(socket.gethostname() if host in WILDCARDS else host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Health:
    """Health checks, which anybody may make: they read no message, of which half would hold memory and the other half never come.

    All services have one status.  `Watch` is not served: its streams would stay open for ever.
    """

    def __init__(self) -> None:
        self.is_serving = True

    def handler(self) -> grpc.GenericRpcHandler:
        check: Any = grpc.stream_unary_rpc_method_handler(
            self._check, response_serializer=health_pb2.HealthCheckResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(HEALTH, {"Check": check})

    async def _check(self, *_: object) -> health_pb2.HealthCheckResponse:
        status = (
            health_pb2.HealthCheckResponse.SERVING if self.is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        return health_pb2.HealthCheckResponse(status=status)


class _Reflection(reflection.aio.ReflectionServicer):
    """Reflection, which anybody may ask for: there are few streams at a time, and each ends.

    This is no generator, as the boundary's streams are none, and it does not `abort`, as they do not.
    """

    def __init__(self, services: Sequence[str]) -> None:
        super().__init__(services)
        self._open = 0

    async def ServerReflectionInfo(  # type: ignore[override]
        self,
        request_iterator: AsyncIterable[reflection_pb2.ServerReflectionRequest],
        context: "aio.ServicerContext[Any, Any]",
    ) -> None:
        if self._open >= MOST_REFLECTIONS:
            context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
            context.set_details("Too many ask for reflection; try again.")
            return
        self._open += 1
        stream: Any = super().ServerReflectionInfo(request_iterator, context)
        try:
            async with aclosing(stream) as answers, asyncio.timeout(REFLECTION_SECONDS):
                async for answer in answers:
                    await context.write(answer)
        except TimeoutError:
            context.set_code(grpc.StatusCode.DEADLINE_EXCEEDED)
            context.set_details(f"Reflection ends after {REFLECTION_SECONDS:g} s; ask again.")
        finally:
            self._open -= 1


class ControlServer:
    """The gRPC server of a process; `start` returns its port."""

    def __init__(
        self, settings: ControlSettings, boundary: Boundary, services: Mapping[ServiceDescriptor, object]
    ) -> None:
        self._server, self.port = rpc.server(settings, settings.control_listen, shared=settings.control_shared)
        self.own_address = _own_address(self._server, settings)
        self._health = _Health()
        self._server.add_generic_rpc_handlers((*boundary.handlers(services), self._health.handler()))
        reflected = _Reflection([*(service.full_name for service in services), HEALTH, reflection.SERVICE_NAME])
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, self._server)  # type: ignore[no-untyped-call]

    @property
    def server(self) -> aio.Server:
        return self._server

    async def start(self) -> int:
        await self._server.start()
        return self.port

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, finish those in flight within `seconds`, then stop.  Streams watch `Deps.stopping`."""
        self._health.is_serving = False
        await self._server.stop(seconds)

    async def cancel_all(self) -> None:
        """Cancel all requests in flight, for which `drain` waits."""
        await self._server.stop(None)
