"""Callers during a handover, and successors: whole ones, and those by hand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from media import app
from media.handover import channel as wire
from media.handover import snapshot
from media.handover.channel import Channel
from media.handover.receiver import Predecessor
from tests.media.audio import voice
from tests.media.fakemodel import FakeModel
from tests.media.planes import Line, Plane
from tests.support.patient import PATIENT
from tests.support.present import present
from tests.support.waits import patience, until


class Caller:
    """Sends a frame every 20 ms, answers marks at once, and keeps what it hears."""

    def __init__(self, line: Line) -> None:
        self.line, self.heard = line, bytearray()
        self.at: list[float] = []
        self.saying: list[bytes] = []
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._speak())]
        self.is_closed = False

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        async for text in self.line.connection:
            message = json.loads(text)
            if message["event"] == "media":
                self.at.append(loop.time())
            elif message["event"] == "mark":
                await self.line.say("mark", mark=message["mark"])
        self.is_closed = True

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.line.media(*([self.saying.pop(0)] if self.saying else []))
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def speak(self, ms: int, seed: int = 3) -> None:
        ulaw = voice(ms, seed)
        self.saying += [ulaw[at : at + 160] for at in range(0, len(ulaw), 160)]

    async def speak_until(self, met: Callable[[], object]) -> None:
        """Say a word again and again until it is answered: frames that come late and at once may make no turn."""
        async with patience():
            while not met():
                self.speak(600)
                for _ in range(60):
                    await asyncio.sleep(0 if met() else 0.05)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def calling(plane: Plane, token: str = "t1") -> AsyncIterator[Caller]:
    async with plane.joined(token) as line:
        caller = Caller(line)
        try:
            yield caller
        finally:
            await caller.stop()


def wait_longer(first: Plane) -> None:
    """Have a plane that was to give up a hung successor soon give the next one all the time that a busy machine needs."""
    first.given.__dict__.update((name, PATIENT.get(name, 30.0)) for name in ("handover_answer_ms", "handover_seconds"))


@contextlib.asynccontextmanager
async def successor(first: Plane) -> AsyncIterator[Plane]:
    """The next plane, to which the first one hands over its calls."""
    predecessor = await Predecessor.connect(first.given.handover_path, 5)
    assert predecessor is not None
    given = first.given.model_copy(update={"drain_seconds": 0.0})
    async with app.build(given, predecessor=predecessor) as media:
        yield Plane(first.given, media)


async def moves_with_its_socket(first: Plane, model: FakeModel) -> None:
    """Have the call `t1` go on in the successor, with the socket to the model that it has."""
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        async with successor(first) as second:
            await until(lambda: len(second.media.server) == 1)
            await caller.speak_until(lambda: "response.create" in model.types())
            assert not caller.is_closed
            assert len(model.sockets) == 1


async def raw(first: Plane, version: int | None = None) -> Channel:
    """A successor by hand, which has said that it serves."""
    channel = Channel(present(wire.connect_to(first.given.handover_path)))
    channel.send(
        wire.Hello(snapshot.VERSION if version is None else version, snapshot.SINCE if version is None else version)
    )
    listener, (descriptor,) = await channel.receive()
    assert isinstance(listener, wire.PredecessorListener)
    assert listener.node == first.media.link.node
    wire.close_all([descriptor])
    channel.send(wire.Serving())
    return channel
