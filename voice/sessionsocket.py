"""The socket of one session with media, and the event loop as the session's clock."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from realtime.session import RealtimeSession
from realtime.stage import Do

#: What a client has not read of: a session beyond it is lost.
MOST_UNSENT_BYTES = 8 << 20


class EventLoopClock:
    """The running event loop's time and timers."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def now(self) -> float:
        return self._loop.time()

    def at(self, when: float, do: Do) -> None:
        def due() -> None:
            self._timers.discard(timer)
            do()

        timer = self._loop.call_at(when, due)
        self._timers.add(timer)

    def stop(self) -> None:
        """Cancel every pending timer."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class SessionSocket:
    """One connection.  `send` never waits: a writer task sends from the outbox."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unsent_bytes = 0
        self._code, self._reason = WSCloseCode.OK, b""

    def send(self, event: dict[str, Any]) -> None:
        """Send an event, in the order of the calls; drop it if the connection ends."""
        if self._code != WSCloseCode.OK:
            return
        message = msgspec.json.encode(event)
        self._unsent_bytes += len(message)
        if self._unsent_bytes > MOST_UNSENT_BYTES:
            self.hang_up(WSCloseCode.POLICY_VIOLATION, b"the client does not read")
        else:
            self._outbox.put_nowait(message)

    def hang_up(self, code: WSCloseCode, reason: bytes) -> None:
        """Close the connection once what was sent before is written."""
        if self._code == WSCloseCode.OK:
            self._code, self._reason = code, reason
            self._outbox.put_nowait(None)

    async def talk(self, session: RealtimeSession, expire: Callable[[], None], limit_seconds: float) -> None:
        """Run the session until either side ends the connection."""
        timer = asyncio.get_running_loop().call_later(limit_seconds, expire)
        session.begin()
        reading = asyncio.create_task(self._read(session), name="read")
        writing = asyncio.create_task(self._write(), name="write")
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            session.close()
        await self._websocket.close(code=self._code, message=self._reason)

    async def _read(self, session: RealtimeSession) -> None:
        async for message in self._websocket:
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            session.handle(message.data)

    async def _write(self) -> None:
        while (message := await self._outbox.get()) is not None:
            self._unsent_bytes -= len(message)
            await self._websocket.send_str(message.decode())
