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
    """Let the server listen on a port that no other process shares; return where media processes reach that."""
    host = parse_listen(settings.control_listen).host
    listen = settings.control_own_listen or f"{_bracketed(host)}:0"
    port = rpc.bind(server, settings, listen)
    named = settings.control_own_address
    if named.rpartition(":")[2].isdecimal() and not named.endswith("]"):
        return named
    host = parse_listen(listen).host
    return f"{named or _bracketed(socket.gethostname() if host in WILDCARDS else host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Health(HealthServicer):
    """Answers who asks; nobody may wait for news, for as long as they like and without a credential."""

    async def Watch(self, _: health_pb2.HealthCheckRequest, context: "aio.ServicerContext[Any, Any]") -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Ask with Check.")


class ControlServer:
    """One server; `start` returns its port."""

    def __init__(
        self, settings: ControlSettings, boundary: Boundary, services: Mapping[ServiceDescriptor, object]
    ) -> None:
        self._server, self.port = rpc.server(settings, settings.control_listen, shared=settings.control_shared)
        self.own_address = _own_address(self._server, settings)
        self._health = _Health()
        self._names = [service.full_name for service in services]
        self._server.add_generic_rpc_handlers(tuple(boundary.handlers(services)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        shown = [*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, self._server)

    @property
    def server(self) -> aio.Server:
        return self._server

    async def start(self) -> int:
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self.port

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, give running ones `seconds`, then stop.  Streams watch `Deps.stopping` themselves."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(seconds)

    async def cancel_all(self) -> None:
        """End what `drain` waits for."""
        await self._server.stop(None)
