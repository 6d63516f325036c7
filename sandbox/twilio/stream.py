"""One Media Stream: the socket to the agent, and the record of what was played when.

The stream's clock starts with `start`.  A `media` message with timestamp T contains the caller's audio of [T, T+20) ms
and is sent at T+20.

Three tasks: the reader receives, the writer sends, and the turn task moves messages through the simulated network and plays
audio, each at its own time.  Example: the agent sends audio at 0 ms; after a network of 50 ms it plays from 50 ms on; a mark
behind 20 ms of it is echoed at 70 ms, and reaches the agent at 120 ms.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from socket import SO_SNDBUF, SOL_SOCKET
from urllib.parse import urlsplit, urlunsplit

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from sandbox.audio import BYTES_PER_MS, FRAME_MS
from sandbox.loopclock import now
from sandbox.twilio import wire
from sandbox.twilio.delayline import DelayLine
from sandbox.twilio.journal import Journal
from sandbox.twilio.mediastream import AudioQueued, Effect, MediaStream
from sandbox.twilio.playout import Echo, ReceivedClear
from sandbox.twilio.signature import sign

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 2.0
#: Two seconds of caller audio are queued for a slow reader; more is dropped (31930).
OUTBOX_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Path:
    """The network between carrier and agent; `out` is carrier → agent."""

    delay_out_ms: float = 0.0
    delay_in_ms: float = 0.0
    jitter_ms: float = 0.0
    seed: int = 0
    send_buffer_bytes: int | None = None
    """Size of the carrier's kernel send buffer; None: the system's default."""


@dataclass(slots=True)
class UtteranceSpan:
    """An utterance of the caller, on the stream's clock."""

    start_ms: float
    end_ms: float | None = None


@dataclass(slots=True)
class Spoken:
    """The caller's audio as captured: one continuous track from `start_ms` on."""

    start_ms: float = 0.0
    track: bytearray = field(default_factory=bytearray)
    spans: list[UtteranceSpan] = field(default_factory=list)
    digits: list[tuple[float, str]] = field(default_factory=list)
    dropped_frames: int = 0


class Stream:
    def __init__(
        self, url: str, parameters: dict[str, str], *, call_sid: str, account_sid: str, path: Path, journal: Journal
    ) -> None:
        parts = urlsplit(url)
        self.url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        """The URL to connect to: Twilio strips the query string."""
        self.sid = "MZ" + secrets.token_hex(16)
        self.parameters = parameters
        self._media = MediaStream(self.sid, call_sid=call_sid, account_sid=account_sid)
        self.playout = self._media.playout
        self.spoken = Spoken()
        self.errors: list[tuple[int, str]] = []
        self.invalid_messages = 0
        self.started_at: float | None = None
        """The loop's time at zero of the stream's clock."""
        self.ended_ms: float | None = None
        self.closed_by: str | None = None
        """`agent`, `carrier`, or `nobody` if the connection was lost."""
        self._writer = self._media.writer
        self._path = path
        self._journal = journal
        self._in: DelayLine[str | bytes | ConnectionClosed] = DelayLine(path.delay_in_ms, path.jitter_ms, path.seed)
        self._out: DelayLine[str] = DelayLine(path.delay_out_ms, path.jitter_ms, path.seed + 1)
        self._outbox: deque[str] = deque()
        self._socket: ClientConnection | None = None
        self._frozen = False
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._outbox_filled = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self.started_at is not None and not self._ended.is_set()

    @property
    def is_frozen(self) -> bool:
        return self._frozen

    def clock_ms(self, at: float | None = None) -> float:
        """Convert a moment of the loop's clock, by default now, to the stream's clock."""
        return ((now() if at is None else at) - (self.started_at or 0.0)) * 1000

    async def run(self, auth_token: str) -> None:
        """Connect and run until either side ends the stream; record a failed connection in `errors`."""
        try:
            self._socket = await self._connect(auth_token)
        except _ConnectFailed as failed:
            self._report(failed.code, str(failed))
            self._ended.set()
            return
        self.started_at = now()
        self._journal.note("stream.started", at=self.started_at, stream_ms=0.0, stream_sid=self.sid, url=self.url)
        for message in self._media.opening(self.parameters):
            self._out.send(0.0, message)
        tasks = [asyncio.create_task(work) for work in (self._read(), self._pump(), self._write())]
        try:
            await self._ended.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    def end(self) -> None:
        """End the stream from the carrier's side: `stop`, then a normal close."""
        if self.is_open:
            self._finish("carrier")

    def hear(self, start_ms: float, payload: bytes, digit: str | None = None) -> None:
        """Send 20 ms of the caller's audio, beginning at `start_ms` on the stream's clock."""
        if not self.spoken.track:
            self.spoken.start_ms = start_ms
        self.spoken.track += payload
        now_ms = self.clock_ms()
        if digit is not None:
            self.spoken.digits.append((start_ms, digit))
            self._out.send(now_ms, self._writer.dtmf(digit))
        if len(self._outbox) >= OUTBOX_FRAMES:
            if self.spoken.dropped_frames == 0:
                self._report(31930, "the agent's side reads too slowly: caller audio is discarded")
            self.spoken.dropped_frames += 1
        else:
            self._out.send(now_ms, self._writer.media(start_ms, payload))
        self._wake.set()

    def heard_since(self, start_ms: float) -> bytes:
        """Return the agent's audio heard in the 20 ms from `start_ms` on, with the sample playing at their end."""
        self._play(max(self.clock_ms(), start_ms + FRAME_MS + 1 / BYTES_PER_MS))
        return self.playout.heard_between(start_ms, start_ms + FRAME_MS)

    def freeze(self) -> None:
        """Stop reading and writing, but keep the connection open."""
        self._frozen = True
        if self._socket is not None:
            self._socket.transport.pause_reading()
        self._journal.note("stream.frozen", stream_ms=self.clock_ms())

    def vanish(self) -> None:
        """Drop the connection without `stop` and without a closing handshake."""
        if self._socket is not None and self.is_open:
            self._socket.transport.abort()
            self._finish("nobody")

    async def _connect(self, auth_token: str) -> ClientConnection:
        try:
            socket = await websockets.connect(
                self.url,
                additional_headers={"X-Twilio-Signature": sign(auth_token, self.url)},
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                open_timeout=CONNECT_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,
                max_size=MAX_MESSAGE_BYTES,
                proxy=None,
            )
        except InvalidURI as error:
            raise _ConnectFailed(31922, str(error)) from error
        except InvalidStatus as error:
            raise _ConnectFailed(31920, f"handshake answered {error.response.status_code}, not 101") from error
        except TimeoutError as error:
            raise _ConnectFailed(31901, "no answer to the connect") from error
        except InvalidHandshake as error:
            raise _ConnectFailed(31920, f"handshake failed: {error}") from error
        except OSError as error:
            raise _ConnectFailed(31902, f"connect refused: {error}") from error
        if self._path.send_buffer_bytes is not None:
            raw = socket.transport.get_extra_info("socket")
            raw.setsockopt(SOL_SOCKET, SO_SNDBUF, self._path.send_buffer_bytes)
        return socket

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            while True:
                message = await self._socket.recv()
                if not self._frozen:
                    self._in.send(self.clock_ms(), message)
                    self._wake.set()
        except ConnectionClosed as closed:
            # A close is delayed like the messages before it.
            self._in.send(self.clock_ms(), closed)
            self._wake.set()

    def _closed_by_agent(self, closed: ConnectionClosed) -> None:
        if closed.sent is not None and closed.sent.code == 1002:
            self._report(31924, f"WebSocket protocol error: {closed.sent.reason}")
        elif closed.rcvd is None or closed.rcvd.code not in {1000, 1001}:
            self._report(31921, f"the connection was closed: {closed}")
        self._finish("agent")

    async def _pump(self) -> None:
        """Receive messages, play audio and send messages, each at its own time."""
        while True:
            now_ms = self.clock_ms()
            self._play(now_ms)
            for _, message in self._out.arrived(now_ms):
                if not self._frozen:
                    self._outbox.append(message)
                    self._outbox_filled.set()
            due_ms = [
                moment_ms
                for moment_ms in (self._in.next_ms(), self._out.next_ms(), self.playout.next_mark_ms())
                if moment_ms is not None
            ]
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((min(due_ms) - self.clock_ms()) / 1000 if due_ms else None):
                    await self._wake.wait()

    async def _write(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._outbox:
                    await self._socket.send(self._outbox[0])
                    self._outbox.popleft()
                self._outbox_filled.clear()
                await self._outbox_filled.wait()

    def _play(self, now_ms: float) -> None:
        for at_ms, message in self._in.arrived(now_ms):
            self._receive(at_ms, message)
        self._record_effects(now_ms, self.playout.advance(now_ms))

    def _receive(self, at_ms: float, message: str | bytes | ConnectionClosed) -> None:
        if isinstance(message, ConnectionClosed):
            self._closed_by_agent(message)
            return
        try:
            self._record_effects(at_ms, self._media.receive(at_ms, message))
        except wire.BadMessage as bad:
            self.invalid_messages += 1
            self._report(31950, str(bad))

    def _record_effects(self, at_ms: float, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Echo():
                    self._echo(effect)
                case AudioQueued():
                    self._record_audio(at_ms, effect)
                case ReceivedClear(_, dropped):
                    self._journal.note("clear", at=self._moment(at_ms), stream_ms=at_ms, dropped_bytes=dropped)

    def _record_audio(self, at_ms: float, audio: AudioQueued) -> None:
        if audio.begins:
            self._journal.note("agent.audio", at=self._moment(at_ms), stream_ms=at_ms, bytes=audio.size_bytes)
        if audio.discarded_bytes:
            self._report(31931, "more than ten minutes of agent audio are queued: the rest is discarded")

    def _echo(self, echo: Echo) -> None:
        self._out.send(self.clock_ms(), self._writer.mark(echo.name))
        self._journal.note(
            "mark", at=self._moment(echo.at_ms), stream_ms=echo.at_ms, name=echo.name, reason=echo.reason
        )
        self._wake.set()

    def _moment(self, stream_ms: float) -> float:
        return (self.started_at or 0.0) + stream_ms / 1000

    def _report(self, code: int, message: str) -> None:
        """Record a debugger code, each once per stream."""
        if all(code != reported for reported, _ in self.errors):
            self.errors.append((code, message))
            self._journal.note(
                "error", stream_ms=self.clock_ms() if self.started_at else None, code=code, message=message
            )

    def _finish(self, closed_by: str) -> None:
        if self._ended.is_set():
            return
        self.ended_ms = self.clock_ms()
        self._play(self.ended_ms)
        self.closed_by = closed_by
        self._ended.set()
        self._journal.note("stream.ended", stream_ms=self.ended_ms, stream_sid=self.sid, closed_by=closed_by)

    async def _close(self) -> None:
        """Send the queued messages, then close; cut a frozen connection without a close frame."""
        assert self._socket is not None
        self.end()
        if self._frozen or self.closed_by == "nobody":
            self._socket.transport.abort()
            return
        if self.closed_by == "agent":
            await self._socket.close()
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for message in (
                    *self._outbox,
                    *(pending for _, pending in self._out.arrived(float("inf"))),
                    self._writer.stop(),
                ):
                    await self._socket.send(message)
                await self._socket.close()


class _ConnectFailed(Exception):  # noqa: N818  (it says what failed)
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
