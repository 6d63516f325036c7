"""The bus over NATS: three servers, one of which is killed or falls silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from control.bus import DROPPED, UP, of_messages
from control.livecall import channels
from control.natsbus import NatsBus, Servers, subject, tls
from hum.v1 import runtime_pb2 as pb
from storage import media_links
from storage.db import Db
from storage.media_links import NodeState
from tests.control.test_bus import Ear
from tests.support.natsservers import PASSWORD, Cluster
from tests.support.waits import patience

pytestmark = pytest.mark.nodes
WORDS = of_messages("hum_words", pb.CommandAnswer)
ALL = (WORDS, *channels.ALL)

UNKNOWN = UUID(int=1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def servers(cluster: Cluster) -> Servers:
    context = tls(Path(cluster.path("ca.pem")), Path(cluster.path("node.pem")), Path(cluster.path("node.key")))
    return Servers(cluster.urls, context, retry_seconds=0.05, ping_seconds=0.1, silent_seconds=1)


@asynccontextmanager
async def running(servers: Servers, first: int = 0, look_seconds: float = 60) -> AsyncIterator[NatsBus]:
    """A bus that asks this server first."""
    urls = [*servers.urls[first:], *servers.urls[:first]]
    bus = NatsBus(replace(servers, urls=urls), look_seconds=look_seconds)
    await bus.start(ALL)
    try:
        yield bus
    finally:
        await bus.stop()


def word(text: str) -> pb.CommandAnswer:
    return pb.CommandAnswer(command_id=text)


async def heard(ear: Ear, text: str, send: Callable[[], Awaitable[object]], seconds: float = 15) -> None:
    """Send until it is heard: a hint may be lost."""
    async with asyncio.timeout(seconds):
        while word(text) not in ear.heard:
            await send()
            await asyncio.sleep(0.05)


async def listen(bus: NatsBus, *ears: Ear) -> None:
    """Wait until what this bus says reaches them all: servers tell one another in their own time who listens."""
    for ear in ears:
        await heard(ear, "ready", lambda: bus.publish(WORDS, word("ready")))
    for ear in ears:
        ear.heard.clear()


def news(ear: Ear) -> list[pb.CommandAnswer]:
    """What came since, without the last words that made sure of it."""
    return [each for each in ear.heard if each not in (None, word("ready"))]


async def until(ear: Ear, message: object) -> None:
    async with patience():
        while message not in ear.heard:
            ear.woken.clear()
            await ear.woken.wait()


async def test_a_message_reaches_all_processes_on_every_server(servers: Servers) -> None:
    ears = [Ear(), Ear(), Ear()]
    async with running(servers) as a, running(servers, 1) as b, running(servers, 2) as c:
        for bus, ear in zip((a, b, c), ears, strict=True):
            bus.subscribe(WORDS, ear)
        await listen(a, *ears)
        assert await a.publish(WORDS, word("one"))
        for ear in ears:
            await until(ear, word("one"))
        assert [news(ear) for ear in ears] == [[word("one")]] * 3
        assert not await a.publish(WORDS, word("x" * 8000))


async def test_a_command_reaches_only_whom_it_is_for(servers: Servers) -> None:
    mine, other = Ear(), Ear()
    async with running(servers) as a, running(servers, 1) as b:
        leave = b.subscribe(channels.COMMANDS, mine, key="media.1 of > *")
        b.subscribe(channels.COMMANDS, other, key="media.2")
        assert await mine.wait(1) == await other.wait(1) == [None], "what was sent before may be lost"
        first, second = (pb.NodeCommand(node=node, browser_call_id="ready") for node in ("media.1 of > *", "media.2"))
        for ear, ready in ((mine, first), (other, second)):
            async with patience():
                while ready not in ear.heard:
                    await a.publish(channels.COMMANDS, ready)
                    await asyncio.sleep(0.05)
        sent = [pb.NodeCommand(node="media.1 of > *", browser_call_id=str(number)) for number in range(3)]
        for each in sent:
            await a.publish(channels.COMMANDS, each)
        await until(mine, sent[-1])
        assert [each for each in mine.heard if each not in (None, first)] == sent
        assert not [each for each in other.heard if each not in (None, second)]
        leave()
        before = len(mine.heard)
        again = Ear()
        b.subscribe(channels.COMMANDS, again, key="media.1 of > *")
        async with patience():
            while pb.NodeCommand(node="media.1 of > *") not in again.heard:
                await a.publish(channels.COMMANDS, pb.NodeCommand(node="media.1 of > *"))
                await asyncio.sleep(0.05)
        assert len(mine.heard) == before


@pytest.mark.parametrize("how", ["killed", "silent"])
async def test_a_server_that_is_lost(
    cluster: Cluster, servers: Servers, how: str, record_property: Callable[[str, object], None]
) -> None:
    here, there = Ear(), Ear()
    async with running(servers) as a, running(servers, 1) as b:
        a.subscribe(WORDS, here)
        b.subscribe(WORDS, there)
        await listen(b, here, there)
        lost_at = time.monotonic()
        (cluster.kill if how == "killed" else cluster.freeze)(0)
        await heard(here, "after", lambda: b.publish(WORDS, word("after")))
        record_property(f"a server that is {how}, s without news", round(time.monotonic() - lost_at, 1))
        await until(here, None)  # who was cut off is told to look
        await heard(there, "back", lambda: a.publish(WORDS, word("back")))
        assert None not in there.heard, "the other lost nothing"


async def test_while_there_is_no_server_hints_are_dropped_and_all_goes_on(cluster: Cluster, servers: Servers) -> None:
    ear, dropped = Ear(), DROPPED.labels(WORDS.name, "away")._value
    for number in range(3):
        cluster.freeze(number)
    before = dropped.get()
    async with running(servers, look_seconds=0.1) as bus:
        bus.subscribe(WORDS, ear)
        assert await bus.publish(WORDS, word("lost")), "it is not too large"
        assert dropped.get() - before == 1
        assert UP.labels("nats")._value.get() == 0
        assert (await ear.wait(2))[:2] == [None, None], "listeners look all the same"
        for number in range(3):
            cluster.thaw(number)
        await heard(ear, "found", lambda: bus.publish(WORDS, word("found")))
        assert UP.labels("nats")._value.get() == 1


async def test_who_shows_no_certificate_or_a_wrong_password_is_refused(
    cluster: Cluster, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = replace(servers, tls=tls(Path(cluster.path("ca.pem")), None, None))
    wrong = replace(servers, urls=[url.replace(PASSWORD, "guess") for url in servers.urls])
    stranger = replace(servers, tls=tls(None, None, None))
    for each in (unknown, wrong, stranger):
        async with running(each) as bus:
            bus.subscribe(WORDS, Ear())
            assert bus._client is None
            assert not bus._ready.is_set()
    assert PASSWORD not in caplog.text and "guess" not in caplog.text


async def told(scheme: str) -> list[bytes]:
    """What a server that offers no TLS, and hangs up, is told."""
    received, asked = list[bytes](), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true}\r\n')
        received.append(await reader.read(1 << 16))
        writer.close()
        asked.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"{scheme}://control:{PASSWORD}@localhost:{server.sockets[0].getsockname()[1]}"
        bus = NatsBus(Servers([url], tls(None, None, None), silent_seconds=1))
        bus.begin(ALL)
        await asyncio.wait_for(asked.wait(), 30)
        await asyncio.wait_for(bus.stop(), 30)
    return received


async def test_a_server_that_offers_no_tls_is_told_nothing() -> None:
    assert set(await told("tls")) == {b""}, "neither a password nor what callers say"


async def test_the_bus_stops_also_while_it_connects() -> None:
    assert PASSWORD.encode() in (await told("nats"))[0]


async def test_what_transactions_notify_goes_this_way(database_url: str, servers: Servers) -> None:
    ear, here = Ear(), Ear()
    db = await Db.open(database_url, size=2)
    async with running(servers) as bus, running(servers, 1) as other:
        db.carry_hints(bus)
        other.subscribe(channels.LINKS, ear)
        bus.subscribe(channels.LINKS, here)
        listening = await db.listen()
        told = list[object]()
        await listening.add_listener(channels.LINKS.name, lambda *news: told.append(news))
        with pytest.raises(ZeroDivisionError):
            async with db.system() as tx:
                await media_links.open(tx, "media-0", UNKNOWN, NodeState())
                1 / 0  # noqa: B018
        async with db.system() as tx:
            await media_links.open(tx, "media-1", UNKNOWN, NodeState())
            await asyncio.sleep(0.1)
            assert not ear.heard, "not before the commit"
        assert await ear.wait(1) == await here.wait(1) == ["media-1"]
        assert not told, "PostgreSQL carried nothing"
        await listening.close()
    await db.close()


def test_any_key_is_one_word_of_a_subject() -> None:
    assert subject("hum_deltas") == "hum.deltas"
    assert subject("hum_commands", "media-1_a") == "hum.commands.media-1_a"
    names = ["a.b", "a b", "a>b", "a*b", "a=b", "a=2e=b", "ä", "\n", "\0"]
    words = [subject("hum_commands", name).removeprefix("hum.commands.") for name in names]
    assert len(set(words)) == len(names)
    assert all(word and not set(word) & set(".* >\r\n\0") for word in words)
