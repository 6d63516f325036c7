"""A server that closes the stream of the transport from before, as proxies and restarts do."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from sandbox.mcp import McpServer
from sandbox.mcp.server import _event, _event_stream


class Closable(McpServer):
    #: The next request of this method is carried out, and closes the stream in place of an answer.
    closes_at: str = ""

    def close_streams(self) -> None:
        """All that are open end, cleanly."""
        for queue in self._streams.values():
            queue.put_nowait(None)

    async def _open_sse(self, request: web.Request) -> web.StreamResponse:
        id, queue = uuid4().hex, asyncio.Queue[Any]()
        self._streams[id] = queue
        stream = await _event_stream(request)
        await stream.write(f"event: endpoint\ndata: /messages?session_id={id}\n\n".encode())
        try:
            while (message := await queue.get()) is not None:
                await stream.write(_event(message))
        finally:
            self._streams.pop(id, None)
        return stream

    def _answer(self, message: Mapping[str, Any]) -> Any:
        answer = super()._answer(message)
        if message["method"] != self.closes_at:
            return answer
        self.closes_at = ""
        return None
