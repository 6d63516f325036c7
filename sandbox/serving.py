"""Runs a stand-in as a server, inside another process or alone."""

import asyncio
import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class _Http(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # uvicorn chooses the class at run time
    """uvicorn's protocol, which lets a stand-in cut its connection."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def cut(request: Request) -> None:
    """Drop the connection of this request, as a network that fails does: nothing more is sent."""
    request.state.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn inside another process: it leaves that process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: Starlette, listen: str, ws: Literal["none", "websockets-sansio"] = "none"
) -> AsyncIterator[tuple[str, int]]:
    """Serve at `host:port` (port 0 takes a free one) until the block ends; yields the address."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host.strip("[]"), int(port)), family=family)
    config = uvicorn.Config(
        app, http=_Http, lifespan="off", ws=ws, ws_per_message_deflate=False, log_config=None, access_log=False
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        name = listening.getsockname()
        yield name[0], name[1]
    finally:
        server.should_exit = True
        await task


def secret(variable: str) -> str:
    """A secret of a stand-in that runs alone; from the environment, because everybody on the machine can read arguments."""
    if not (value := os.environ.get(variable, "")):
        sys.exit(f"{variable} is not set; set it to what the stand-in is to accept")
    return value


async def alone(url: str) -> None:
    """Print on stdout that `url` is ready, and wait for SIGTERM or SIGINT."""
    atexit.register(gc.freeze)  # it ends without walking through all that it holds
    asked_to_stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, asked_to_stop.set)
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
    await asked_to_stop.wait()
