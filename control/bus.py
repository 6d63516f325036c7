"""The bus: short messages between control's processes.

A message is only a hint: whoever gets it reads the database.  `Bus` is what features see; `PostgresBus` carries it
over LISTEN/NOTIFY.
"""

import asyncio
import binascii
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import asyncpg
from google.protobuf.message import DecodeError, Message
from prometheus_client import Counter

from hum.telemetry import log
from storage.db import Db, notify

LOG = log(__name__)
DROPPED = Counter("hum_bus_dropped_total", "Messages on the bus that were not delivered", ["channel", "why"])
MAX_PAYLOAD_BYTES = 7900  # PostgreSQL refuses 8000

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Channel(Generic[T]):
    """A name, and how its messages are encoded.  `decode` raises ValueError for a payload that it can't read."""

    name: str
    decode: Callable[[str], T]
    encode: Callable[[T], str]


def of_messages(name: str, kind: type[M]) -> Channel[M]:
    """A channel of one type of message, as base64: NOTIFY carries text."""

    def decode(payload: str) -> M:
        try:
            return kind.FromString(binascii.a2b_base64(payload, strict_mode=True))
        except (binascii.Error, DecodeError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.name}") from error

    return Channel(
        name, decode, lambda message: binascii.b2a_base64(message.SerializeToString(), newline=False).decode()
    )


class Bus(Protocol):
    """Connects all processes of control."""

    def subscribe(self, channel: Channel[T], listener: Callable[[T | None], None]) -> Callable[[], None]:
        """Call `listener` with each message of a channel, and with None after a loss; returns how to unsubscribe."""
        ...

    async def publish(self, channel: Channel[T], message: T) -> bool:
        """Send to all processes, now; False for a message that is too large, which is dropped."""
        ...


class PostgresBus:
    """Listens on one connection to all channels."""

    def __init__(self, db: Db, *, retry_seconds: float) -> None:
        self._db = db
        self._retry_seconds = retry_seconds
        self._channels: dict[str, Channel[Any]] = {}
        self._listeners: dict[str, set[Callable[[Any], None]]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self, channels: Sequence[Channel[Any]]) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._task = asyncio.create_task(self._run(), name="bus")
        await self._ready.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def subscribe(self, channel: Channel[T], listener: Callable[[T | None], None]) -> Callable[[], None]:
        assert channel.name in self._channels, f"no feature declares the channel {channel.name}"
        self._listeners[channel.name].add(listener)
        return lambda: self._listeners[channel.name].discard(listener)

    async def publish(self, channel: Channel[T], message: T) -> bool:
        payload = channel.encode(message)
        if len(payload.encode()) > MAX_PAYLOAD_BYTES:
            DROPPED.labels(channel.name, "too large").inc()
            return False
        async with self._db.system() as tx:
            await notify(tx, channel.name, payload)
        return True

    async def _run(self) -> None:
        """Listen until cancelled, whatever is raised: without the bus, nobody is woken."""
        while True:
            try:
                await self._listen()
                LOG.warning("bus lost its connection")
                continue
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                LOG.warning("the bus can't listen; retrying", error=repr(error)[:200])
            except Exception:
                LOG.exception("the bus failed: this is a bug")
            await asyncio.sleep(self._retry_seconds)

    async def _listen(self) -> None:
        """Listen on one connection until it is lost."""
        connection, lost = await self._db.listen(), asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for name in self._channels:
                await connection.add_listener(name, self._received)
            self._wake_all()
            self._ready.set()
            await lost.wait()
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)

    def _received(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        try:
            message = self._channels[channel].decode(str(payload))
        except ValueError as error:
            DROPPED.labels(channel, "unknown").inc()
            LOG.warning("a message on the bus can't be read", channel=channel, error=str(error))
            return
        self._tell(channel, message)

    def _wake_all(self) -> None:
        for name in self._channels:
            self._tell(name, None)

    def _tell(self, channel: str, message: object) -> None:
        for listener in tuple(self._listeners[channel]):
            try:
                listener(message)
            except Exception:  # one listener's bug must not affect the others
                LOG.exception("a listener on the bus failed", channel=channel)
