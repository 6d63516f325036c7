"""The bus: short messages between control's processes.

A message is only a hint to read the database.  `Bus` is the interface for features; `PostgresBus` implements it over
LISTEN/NOTIFY, `control.natsbus.NatsBus` over NATS.  Hints are sent after their transaction's commit, and a server that
dies before sends none.  So all listeners are also woken periodically.
"""

import asyncio
import binascii
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import asyncpg
from google.protobuf.message import DecodeError, Message
from prometheus_client import Counter, Gauge

from hum.observe.logs import log
from storage.db import UNAVAILABLE, Db, notify

LOG = log(__name__)
DROPPED = Counter("hum_bus_dropped_total", "Messages on the bus that were not delivered", ["channel", "why"])
UP = Gauge("hum_bus_up", "Whether this process hears the bus, 0 or 1, and over what", ["over"])
MAX_PAYLOAD_BYTES = 7900  # PostgreSQL refuses 8000

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class BusChannel(Generic[T]):
    """A name and an encoding of messages.  `decode` raises ValueError for an invalid payload."""

    name: str
    decode: Callable[[str], T]
    encode: Callable[[T], str]
    #: The key of a message, if the channel has keys.  A listener of such a channel subscribes to one key.
    key: Callable[[T], str] | None = None
    #: Whether its listeners are also woken periodically, and not only after a connection was lost.
    is_polled: bool = True


def of_messages(name: str, kind: type[M], key: Callable[[M], str] | None = None) -> BusChannel[M]:
    """Return a channel for a type of protobuf message, encoded as base64 since NOTIFY carries text."""

    def decode(payload: str) -> M:
        try:
            return kind.FromString(binascii.a2b_base64(payload, strict_mode=True))
        except (binascii.Error, DecodeError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.name}") from error

    def encode(message: M) -> str:
        return binascii.b2a_base64(message.SerializeToString(), newline=False).decode()

    return BusChannel(name, decode, encode, key)


class Bus(Protocol):
    """The connection between all processes of control."""

    def subscribe(
        self, channel: BusChannel[T], listener: Callable[[T | None], None], key: str = ""
    ) -> Callable[[], None]:
        """Call `listener` with a channel's messages, only those with `key` if it has keys; return the unsubscribe.

        The listener is called with None when a message may have been lost.
        """
        ...

    async def publish(self, channel: BusChannel[T], message: T) -> bool:
        """Send a message to all processes now; return False if it is too large, and drop it."""
        ...


class RunningBus(Bus, Protocol):
    """The interface of a bus for the program that starts it."""

    async def start(self, channels: Sequence[BusChannel[Any]]) -> None:
        """Listen to these channels; return once messages arrive, or after a limited wait for an unavailable server."""
        ...

    def begin(self, channels: Sequence[BusChannel[Any]]) -> None:
        """Listen to these channels without waiting until messages arrive; listeners get None at that time."""
        ...

    async def stop(self) -> None: ...


class Listeners:
    """The listeners of this process, by channel and key."""

    def __init__(self, poll_seconds: float) -> None:
        self._poll_seconds = poll_seconds
        self._channels: dict[str, BusChannel[Any]] = {}
        self._listening: dict[tuple[str, str], set[Callable[[Any], None]]] = {}

    def declare(self, channels: Sequence[BusChannel[Any]]) -> None:
        """Set the channels that can be listened to."""
        self._channels = {channel.name: channel for channel in channels}

    def add(self, channel: BusChannel[T], listener: Callable[[T | None], None], key: str) -> Callable[[], None]:
        """Add a listener, and return the function that removes it."""
        assert channel.name in self._channels, f"no feature declares the channel {channel.name}"
        assert bool(key) == (channel.key is not None), f"listeners of {channel.name} need a key if the channel has keys"
        address = (channel.name, key)
        self._listening.setdefault(address, set()).add(listener)

        def unsubscribe() -> None:
            listeners = self._listening.get(address, set())
            listeners.discard(listener)
            if not listeners:
                self._listening.pop(address, None)

        return unsubscribe

    def addresses(self) -> set[tuple[str, str]]:
        """Return the (channel, key) pairs to listen to: all channels without keys, and the keys that have listeners."""
        keyless = {(channel.name, "") for channel in self._channels.values() if channel.key is None}
        return keyless | self._listening.keys()

    def receive(self, name: str, payload: str) -> None:
        """Deliver a message to its listeners; log and drop one that can't be decoded."""
        channel = self._channels[name]
        try:
            message = channel.decode(payload)
        except ValueError as error:
            DROPPED.labels(name, "unknown").inc()
            LOG.warning("could not decode a message on the bus; dropped it", channel=name, error=str(error))
            return
        self._deliver((name, channel.key(message) if channel.key else ""), message)

    def wake(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Call the listeners of these channels and keys with None, since a message may have been lost."""
        for address in addresses:
            self._deliver(address, None)

    async def wake_periodically(self) -> None:
        """Call the listeners of polled channels with None every `poll_seconds`, spread over that time: each reads the database."""
        while True:
            listeners = [
                (address, listener)
                for address, group in self._listening.items()
                if self._channels[address[0]].is_polled
                for listener in group
            ]
            for address, listener in listeners:
                await asyncio.sleep(self._poll_seconds / len(listeners))
                if listener in self._listening.get(address, ()):
                    self._call(address, listener, None)
            if not listeners:
                await asyncio.sleep(self._poll_seconds)

    def _deliver(self, address: tuple[str, str], message: object) -> None:
        for listener in tuple(self._listening.get(address, ())):
            self._call(address, listener, message)

    def _call(self, address: tuple[str, str], listener: Callable[[Any], None], message: object) -> None:
        try:
            listener(message)
        # A bug in a listener must not affect the others.
        except Exception:
            LOG.exception("a listener on the bus failed", channel=address[0])


def encoded(channel: BusChannel[T], message: T) -> str | None:
    """Encode a message; return None and count it if it is too large for any bus."""
    payload = channel.encode(message)
    if len(payload.encode()) > MAX_PAYLOAD_BYTES:
        DROPPED.labels(channel.name, "too large").inc()
        return None
    return payload


class PostgresBus:
    """A bus over LISTEN/NOTIFY, with one connection for all channels."""

    def __init__(self, db: Db, *, retry_seconds: float, poll_seconds: float = 5.0) -> None:
        self._db, self._retry_seconds = db, retry_seconds
        self._listeners = Listeners(poll_seconds)
        self._channels: Sequence[BusChannel[Any]] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._ready, self._up = asyncio.Event(), UP.labels("postgresql")

    async def start(self, channels: Sequence[BusChannel[Any]]) -> None:
        self.begin(channels)
        await self._ready.wait()

    def begin(self, channels: Sequence[BusChannel[Any]]) -> None:
        self._channels = channels
        self._listeners.declare(channels)
        self._tasks = [
            asyncio.create_task(self._run(), name="bus"),
            asyncio.create_task(self._listeners.wake_periodically(), name="bus poll"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def subscribe(
        self, channel: BusChannel[T], listener: Callable[[T | None], None], key: str = ""
    ) -> Callable[[], None]:
        return self._listeners.add(channel, listener, key)

    async def publish(self, channel: BusChannel[T], message: T) -> bool:
        if (payload := encoded(channel, message)) is None:
            return False
        async with self._db.system() as tx:
            await notify(tx, channel.name, payload)
        return True

    async def _run(self) -> None:
        """Listen until cancelled, and connect again after every error."""
        while True:
            try:
                await self._listen()
                LOG.warning("the bus lost its connection; retrying")
                continue
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                LOG.warning("the bus can't listen; retrying", error=repr(error)[:200])
            # A bug must not end the bus, without which no listener is woken in time.
            except Exception:
                LOG.exception("the bus failed: this is a bug")
            await asyncio.sleep(self._retry_seconds)

    async def _listen(self) -> None:
        """Listen on a connection until it is lost."""
        connection, lost = await self._db.listen(), asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel.name, self._receive)
            self._listeners.wake(self._listeners.addresses())
            self._ready.set()
            self._up.set(1)
            await lost.wait()
        finally:
            self._up.set(0)
            with suppress(*UNAVAILABLE, asyncpg.PostgresError):
                await connection.close(timeout=1)

    def _receive(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._listeners.receive(channel, str(payload))
