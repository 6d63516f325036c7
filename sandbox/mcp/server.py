"""The server: JSON-RPC over aiohttp, by hand, because half of its responses are wrong on purpose."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Self
from uuid import uuid4

from aiohttp import web

SESSION = "Mcp-Session-Id"
NEWEST, PREVIOUS = "2026-07-28", "2025-06-18"
OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}}
DRIP_SECONDS = 1.0
PART = b"x" * (64 << 10)


class McpFault(Enum):
    """A fault of the responses to a method."""

    #: No response.
    HANG = auto()
    #: One byte a second.
    DRIP = auto()
    #: 100 MB.
    FLOOD = auto()
    #: A stream of notifications that never ends.
    ENDLESS = auto()
    #: A body that is not JSON.
    GARBAGE = auto()
    #: A response with another request's id.
    LIE = auto()
    #: A redirect to `redirect_to`.
    REDIRECT = auto()
    #: An HTTP error without a body.
    ERROR = auto()


@dataclass(frozen=True, slots=True)
class McpTool:
    description: str
    run: Callable[[Mapping[str, Any]], Any] = lambda _: "done"
    schema: Mapping[str, Any] = field(default_factory=lambda: OBJECT)
    output_schema: Mapping[str, Any] | None = None


@dataclass(slots=True)
class McpServer:
    """The server; `generation` is the newest protocol version that it speaks, `token` the bearer token it requires, if any."""

    generation: str = NEWEST
    url: str = ""
    token: str = ""
    redirect_to: str = ""
    #: Duration of each tool call, in seconds.
    slow_seconds: float = 0.0
    tools: dict[str, McpTool] = field(default_factory=dict)
    faults: dict[str, McpFault] = field(default_factory=dict)
    #: Tools that were called, with their arguments.
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    #: Methods in order of arrival, each with its headers by lower-case name.
    heard: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    _sessions: set[str] = field(default_factory=set)
    _streams: dict[str, asyncio.Queue[Any]] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def serve(cls, listen: str = "127.0.0.1:0", **fields: Any) -> AsyncIterator[Self]:
        server = cls(**fields)
        app = web.Application()
        app.router.add_post("/mcp", server._post)
        app.router.add_get("/mcp", server._refuse_get)
        app.router.add_delete("/mcp", server._end_session)
        app.router.add_get("/sse", server._open_sse)
        app.router.add_post("/messages", server._post_message)
        app.router.add_post("/token", server._token)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        host, _, port = listen.rpartition(":")
        await web.TCPSite(runner, host, int(port)).start()
        server.url = f"http://{host}:{runner.addresses[0][1]}/mcp"
        try:
            yield server
        finally:
            await runner.cleanup()

    @property
    def sse_url(self) -> str:
        return self.url.removesuffix("mcp") + "sse"

    @property
    def token_url(self) -> str:
        return self.url.removesuffix("mcp") + "token"

    def forget(self) -> None:
        """Expire all sessions."""
        self._sessions.clear()

    def say_tools_changed(self) -> None:
        """Notify the clients of the SSE transport that the tools have changed."""
        for stream in self._streams.values():
            stream.put_nowait({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def methods(self) -> list[str]:
        return [method for method, _ in self.heard]

    # --- the transports -------------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        method = message.get("method", "")
        self.heard.append((method, _headers(request)))
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        if (session := request.headers.get(SESSION)) is not None and session not in self._sessions:
            return web.Response(status=404)
        if "id" not in message:
            return web.Response(status=202)
        if (fault := self.faults.get(method)) is not None:
            return await self._faulty(request, message, fault)
        if method == "tools/call":
            await asyncio.sleep(self.slow_seconds)
        answer = web.json_response(self._answer(message))
        if method == "initialize":
            answer.headers[SESSION] = session = uuid4().hex
            self._sessions.add(session)
        return answer

    async def _refuse_get(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=405)

    async def _end_session(self, request: web.Request) -> web.StreamResponse:
        self._sessions.discard(request.headers.get(SESSION, ""))
        return web.Response(status=204)

    async def _open_sse(self, request: web.Request) -> web.StreamResponse:
        if "sse" in self.faults:
            return await self._faulty(request, {}, self.faults["sse"])
        id, queue = uuid4().hex, asyncio.Queue[Any]()
        self._streams[id] = queue
        stream = await _event_stream(request)
        await stream.write(f"event: endpoint\ndata: /messages?session_id={id}\n\n".encode())
        try:
            while True:
                await stream.write(_event(await queue.get()))
        finally:
            self._streams.pop(id, None)

    async def _post_message(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        self.heard.append((message.get("method", ""), _headers(request)))
        queue = self._streams.get(request.query.get("session_id", ""))
        if queue is None:
            return web.Response(status=404)
        if "id" in message and self.faults.get(message["method"]) is not McpFault.HANG:
            queue.put_nowait(self._answer(message))
        return web.Response(status=202)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        """Serve OAuth's client credentials: issue a token to `client` with `secret`, and require it from then on."""
        form = await request.post()
        self.heard.append(("token", {**_headers(request), **{name: str(value) for name, value in form.items()}}))
        basic = "Basic " + base64.b64encode(b"client:secret").decode()
        if request.headers.get("Authorization") != basic:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.token = uuid4().hex
        return web.json_response({"access_token": self.token, "token_type": "Bearer", "expires_in": 3600})

    # --- results -----------------------------------------------------------------------------------------

    def _answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        result = self._result(message["method"], message.get("params") or {})
        kind = "error" if "code" in result else "result"
        return {"jsonrpc": "2.0", "id": message["id"], kind: result}

    def _result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        capabilities: dict[str, Any] = {"tools": {"listChanged": True}}
        match method:
            case "initialize":
                info = {"name": "stand-in", "version": "1"}
                return {"protocolVersion": PREVIOUS, "capabilities": capabilities, "serverInfo": info}
            case "server/discover" if self.generation == NEWEST:
                return {"resultType": "complete", "supportedVersions": [NEWEST], "capabilities": capabilities} | _FRESH
            case "tools/list":
                tools = [_listed(name, tool) for name, tool in self.tools.items()]
                return {"resultType": "complete", "tools": tools} | _FRESH
            case "tools/call" if params.get("name") in self.tools:
                arguments = params.get("arguments") or {}
                self.calls.append((params["name"], arguments))
                return {"resultType": "complete"} | _content(self.tools[params["name"]].run(arguments))
            case "tools/call":
                return {"code": -32602, "message": "There is no such tool."}
            case _:
                return {"code": -32601, "message": "There is no such method."}

    async def _faulty(self, request: web.Request, message: Mapping[str, Any], fault: McpFault) -> web.StreamResponse:
        match fault:
            case McpFault.HANG:
                await asyncio.sleep(3600)
            case McpFault.LIE:
                return web.json_response({"jsonrpc": "2.0", "id": 4711, "result": {}})
            case McpFault.GARBAGE:
                return web.Response(text="<html>", content_type="application/json")
            case McpFault.ERROR:
                return web.Response(status=500)
            case McpFault.REDIRECT:
                return web.Response(status=307, headers={"Location": self.redirect_to})
            case McpFault.DRIP | McpFault.FLOOD | McpFault.ENDLESS:
                return await _without_end(request, fault)
        raise AssertionError(message)


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


#: Results of the newest generation contain their time to live.
_FRESH: dict[str, Any] = {"ttlMs": 0, "cacheScope": "private"}


def _listed(name: str, tool: McpTool) -> dict[str, Any]:
    listed = {"name": name, "description": tool.description, "inputSchema": dict(tool.schema)}
    return listed if tool.output_schema is None else listed | {"outputSchema": tool.output_schema}


def _content(result: Any) -> dict[str, Any]:
    """Wrap a text in a result; return a whole result unchanged."""
    if isinstance(result, dict):
        return result
    return {"content": [{"type": "text", "text": str(result)}], "isError": False}


def _event(message: Any) -> bytes:
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()


async def _event_stream(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    return stream


async def _without_end(request: web.Request, fault: McpFault) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    if fault is McpFault.ENDLESS:
        stream = await _event_stream(request)
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}}
        while True:
            await stream.write(_event(notice))
    await stream.prepare(request)
    if fault is McpFault.DRIP:
        while True:
            await stream.write(b" ")
            await asyncio.sleep(DRIP_SECONDS)
    for _ in range((100 << 20) // len(PART)):
        await stream.write(PART)
    return stream
