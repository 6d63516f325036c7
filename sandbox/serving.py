"""Servers of stand-ins, inside another process or alone.

`tests/gateway/test_server.py` names the members of uvicorn that this stands on without their promise.
"""

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


# uvicorn chooses the base class at run time.
class _Http(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's protocol, extended so that a stand-in can abort its connection."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def cut(request: Request) -> None:
    """Abort the request's connection without sending anything more, as a failing network does."""
    request.state.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn inside another process: leaves that process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: Starlette, listen: str, ws: Literal["none", "websockets-sansio"] = "none"
) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` at `host:port` (port 0: any free port) until the block ends; yield the address."""
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
    """Return a stand-in's secret from the environment, or exit if it is not set.

    Secrets are not command-line arguments, because every user of the machine can read those.
    """
    if not (value := os.environ.get(variable, "")):
        sys.exit(f"{variable} is not set; set it to the secret that the stand-in accepts")
    return value


async def alone(url: str) -> None:
    """Print one JSON line with `url` on stdout, then wait for SIGTERM or SIGINT."""
    # Skip the final garbage collection, which would walk every object of the process.
    atexit.register(gc.freeze)
    stop_requested = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop_requested.set)
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
    await stop_requested.wait()
