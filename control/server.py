"""Control's gRPC server: the services behind the boundary, health, reflection, and a graceful shutdown."""

import socket
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from control.boundary import Boundary
from hum import rpc
from hum.network import parse_listen
from hum.settings import ControlSettings

WILDCARDS = ("0.0.0.0", "::")


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


class _Health(HealthServicer):
    """Health checks without `Watch`, which would let clients without a credential keep streams open for ever."""

    async def Watch(self, _: health_pb2.HealthCheckRequest, context: "aio.ServicerContext[Any, Any]") -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Ask with Check.")


class ControlServer:
    """The gRPC server of a process; `start` returns its port."""

    def __init__(
        self, settings: ControlSettings, boundary: Boundary, services: Mapping[ServiceDescriptor, object]
    ) -> None:
        self._server, self.port = rpc.server(settings, settings.control_listen, shared=settings.control_shared)
        self.own_address = _own_address(self._server, settings)
        self._health = _Health()
        self._names = [service.full_name for service in services]
        self._server.add_generic_rpc_handlers(tuple(boundary.handlers(services)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflected = [*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(reflected, self._server)

    @property
    def server(self) -> aio.Server:
        return self._server

    async def start(self) -> int:
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self.port

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, finish those in flight within `seconds`, then stop.  Streams watch `Deps.stopping`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(seconds)

    async def cancel_all(self) -> None:
        """Cancel all requests in flight, for which `drain` waits."""
        await self._server.stop(None)
