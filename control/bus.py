"""The bus: short messages between control's processes.

A message is only a hint: whoever gets it reads the database.  `Bus` is what features see; `PostgresBus` carries it over
LISTEN/NOTIFY, `control.natsbus.NatsBus` over NATS.  Hints leave after their transaction's commit, and a server that dies in
between sends none: all listeners are told to look, now and then, without one.
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

from hum.telemetry import log
from storage.db import AWAY, Db, notify

LOG = log(__name__)
DROPPED = Counter("hum_bus_dropped_total", "Messages on the bus that were not delivered", ["channel", "why"])
UP = Gauge("hum_bus_up", "Whether this process hears the bus, 0 or 1, and over what", ["over"])
MAX_PAYLOAD_BYTES = 7900  # PostgreSQL refuses 8000

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Channel(Generic[T]):
    """A name, and how its messages are encoded.  `decode` raises ValueError for a payload that it can't read."""

    name: str
    decode: Callable[[str], T]
    encode: Callable[[T], str]
    #: Whom a message is for.  Each listener of such a channel says who it is, and gets its own messages alone.
    key: Callable[[T], str] | None = None


def of_messages(name: str, kind: type[M], key: Callable[[M], str] | None = None) -> Channel[M]:
    """A channel of one type of message, as base64: NOTIFY carries text."""

    def decode(payload: str) -> M:
        try:
            return kind.FromString(binascii.a2b_base64(payload, strict_mode=True))
        except (binascii.Error, DecodeError) as error:
            raise ValueError(f"not a {kind.DESCRIPTOR.name}") from error

    def encode(message: M) -> str:
        return binascii.b2a_base64(message.SerializeToString(), newline=False).decode()

    return Channel(name, decode, encode, key)


class Bus(Protocol):
    """Connects all processes of control."""

    def subscribe(self, channel: Channel[T], listener: Callable[[T | None], None], key: str = "") -> Callable[[], None]:
        """Call `listener` with each message of a channel, or each that is for `key` if the channel's messages are for somebody, and
        with None when one may have been lost; returns how to unsubscribe.
        """
        ...

    async def publish(self, channel: Channel[T], message: T) -> bool:
        """Send to all processes, now; False for a message that is too large, which is dropped."""
        ...


class RunningBus(Bus, Protocol):
    """A bus, as the program that starts it sees it."""

    async def start(self, channels: Sequence[Channel[Any]]) -> None:
        """Listen to these; return once messages arrive, or can't for now but will."""
        ...

    def begin(self, channels: Sequence[Channel[Any]]) -> None:
        """Start without waiting until messages arrive: whoever subscribes now is told None then."""
        ...

    async def stop(self) -> None: ...


class Listeners:
    """Who listens to which channel, and for whom."""

    def __init__(self, look_seconds: float) -> None:
        self._look_seconds = look_seconds
        self._channels: dict[str, Channel[Any]] = {}
        self._listening: dict[tuple[str, str], set[Callable[[Any], None]]] = {}

    def declare(self, channels: Sequence[Channel[Any]]) -> None:
        self._channels = {channel.name: channel for channel in channels}

    def add(self, channel: Channel[T], listener: Callable[[T | None], None], key: str) -> Callable[[], None]:
        assert channel.name in self._channels, f"no feature declares the channel {channel.name}"
        assert bool(key) == (channel.key is not None), f"listeners of {channel.name} say for whom, and no others"
        place = (channel.name, key)
        self._listening.setdefault(place, set()).add(listener)

        def leave() -> None:
            there = self._listening.get(place, set())
            there.discard(listener)
            if not there:
                self._listening.pop(place, None)

        return leave

    def places(self) -> set[tuple[str, str]]:
        """All channels, or of one with keys, for whom somebody listens."""
        whole = {(channel.name, "") for channel in self._channels.values() if channel.key is None}
        return whole | self._listening.keys()

    def receive(self, name: str, payload: str) -> None:
        """Pass a message on to its listeners; one that can't be read is logged and dropped."""
        channel = self._channels[name]
        try:
            message = channel.decode(payload)
        except ValueError as error:
            DROPPED.labels(name, "unknown").inc()
            LOG.warning("a message on the bus can't be read", channel=name, error=str(error))
            return
        self._tell((name, channel.key(message) if channel.key else ""), message)

    def wake(self, places: Iterable[tuple[str, str]]) -> None:
        """Tell those who listen there that something may have been lost."""
        for place in places:
            self._tell(place, None)

    async def look_besides(self) -> None:
        """Tell each listener every `look_seconds` that a message may have been lost, one after another: each reads the database."""
        while True:
            listeners = [(place, each) for place, those in self._listening.items() for each in those]
            for place, listener in listeners:
                await asyncio.sleep(self._look_seconds / len(listeners))
                if listener in self._listening.get(place, ()):
                    self._call(place, listener, None)
            if not listeners:
                await asyncio.sleep(self._look_seconds)

    def _tell(self, place: tuple[str, str], message: object) -> None:
        for listener in tuple(self._listening.get(place, ())):
            self._call(place, listener, message)

    def _call(self, place: tuple[str, str], listener: Callable[[Any], None], message: object) -> None:
        try:
            listener(message)
        except Exception:  # the boundary of one listener: its bug must not affect the others
            LOG.exception("a listener on the bus failed", channel=place[0])


def encoded(channel: Channel[T], message: T) -> str | None:
    """A message as it travels; None, and counted, if it is too large for any bus."""
    payload = channel.encode(message)
    if len(payload.encode()) > MAX_PAYLOAD_BYTES:
        DROPPED.labels(channel.name, "too large").inc()
        return None
    return payload


class PostgresBus:
    """Listens on one connection to all channels."""

    def __init__(self, db: Db, *, retry_seconds: float, look_seconds: float = 5.0) -> None:
        self._db, self._retry_seconds = db, retry_seconds
        self._listeners = Listeners(look_seconds)
        self._channels: Sequence[Channel[Any]] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._ready, self._up = asyncio.Event(), UP.labels("postgresql")

    async def start(self, channels: Sequence[Channel[Any]]) -> None:
        self.begin(channels)
        await self._ready.wait()

    def begin(self, channels: Sequence[Channel[Any]]) -> None:
        self._channels = channels
        self._listeners.declare(channels)
        self._tasks = [
            asyncio.create_task(self._run(), name="bus"),
            asyncio.create_task(self._listeners.look_besides(), name="bus look"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def subscribe(self, channel: Channel[T], listener: Callable[[T | None], None], key: str = "") -> Callable[[], None]:
        return self._listeners.add(channel, listener, key)

    async def publish(self, channel: Channel[T], message: T) -> bool:
        if (payload := encoded(channel, message)) is None:
            return False
        async with self._db.system() as tx:
            await notify(tx, channel.name, payload)
        return True

    async def _run(self) -> None:
        """Listen until cancelled, whatever is raised."""
        while True:
            try:
                await self._listen()
                LOG.warning("bus lost its connection")
                continue
            except (*AWAY, asyncpg.PostgresError) as error:
                LOG.warning("the bus can't listen; retrying", error=repr(error)[:200])
            except Exception:  # the boundary of one connection: without the bus, nobody is woken
                LOG.exception("the bus failed: this is a bug")
            await asyncio.sleep(self._retry_seconds)

    async def _listen(self) -> None:
        """Listen on one connection until it is lost."""
        connection, lost = await self._db.listen(), asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel.name, self._received)
            self._listeners.wake(self._listeners.places())
            self._ready.set()
            self._up.set(1)
            await lost.wait()
        finally:
            self._up.set(0)
            with suppress(*AWAY, asyncpg.PostgresError):
                await connection.close(timeout=1)

    def _received(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        self._listeners.receive(channel, str(payload))
