"""The server that all HTTP tools of a run's flows ask: it answers from the world of the call that a request belongs to."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evals.flowfile import CALLER_HEADER, FlowFile, arguments_in_path
from evals.world import RunningWorld, World
from sandbox.serving import serving

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class ToolServer:
    """The worlds of the calls that go on, by the caller's number."""

    def __init__(self) -> None:
        self._url = ""
        self._worlds: dict[str, RunningWorld] = {}
        self._tools: dict[tuple[str, str], Mapping[str, Any]] = {}

    @classmethod
    @asynccontextmanager
    async def serve(cls) -> AsyncIterator["ToolServer"]:
        """Serve on loopback until the block ends."""
        server = cls()
        app = Starlette(routes=[Route("/{flow}/{tool}{rest:path}", server._answer, methods=METHODS)])
        async with serving(app, "127.0.0.1:0") as (host, port):
            server._url = f"http://{host}:{port}"
            yield server

    def add(self, flow: FlowFile, number: int) -> dict[str, str]:
        """Take in a flow's tools; return their addresses by name."""
        for tool in flow.tools:
            self._tools[str(number), tool["name"]] = tool
        return {tool["name"]: f"{self._url}/{number}/{tool['name']}" for tool in flow.tools}

    def begin(self, caller: str, world: World) -> RunningWorld:
        """Begin the world of a caller's call."""
        self._worlds[caller] = running = RunningWorld(world)
        return running

    def end(self, caller: str) -> None:
        self._worlds.pop(caller, None)

    async def _answer(self, request: Request) -> JSONResponse:
        flow, name = request.path_params["flow"], request.path_params["tool"]
        tool = self._tools.get((flow, name))
        world = self._worlds.get(request.headers.get(CALLER_HEADER, ""))
        if tool is None or world is None:
            return JSONResponse({"error": "no call of this caller goes on"}, 404)
        # As it was sent: an argument may have a slash in it.
        path = request.scope["raw_path"].decode().removeprefix(f"/{flow}/{name}")
        arguments = {**arguments_in_path(tool, path), **dict(request.query_params), **await _body(request)}
        reply = world.answer(name, arguments)
        await asyncio.sleep(reply.delay_ms / 1000)
        return JSONResponse(reply.body, reply.status)


async def _body(request: Request) -> dict[str, Any]:
    """Return the members of a request's body: an object, or a form."""
    body = await request.body()
    if request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode()))
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {"body": document}
