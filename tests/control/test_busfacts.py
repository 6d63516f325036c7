"""What `hum doctor` finds out about the servers of the bus, of real ones."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from nats.aio.msg import Msg

from cli.doctor import bus
from cli.doctor.bus import BusFacts
from control import busfacts
from hum.process.sockets import free_port
from hum.settings.bus import BusSettings
from tests.support.natsservers import PASSWORD, STRANGER, USER, Cluster

pytestmark = pytest.mark.nodes


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster


async def look(cluster: Cluster, urls: list[str], **more: Any) -> list[str]:
    """What `hum doctor` says, a line for each thing."""
    files = {"tls_ca": "ca.pem", "tls_cert": "node.pem", "tls_key": "node.key"}
    given = {name: Path(cluster.path(file)) for name, file in files.items()} | more
    settings = BusSettings(bus_url=",".join(urls), bus_silent_seconds=3, **given)
    found = await busfacts.facts(settings)
    lines = [each.line() for each in bus.judge(BusFacts(**found))]
    assert PASSWORD not in " ".join(lines)
    return lines


async def test_three_servers_that_are_well(cluster: Cluster) -> None:
    (line,) = await look(cluster, cluster.urls)
    assert line.startswith("ok ") and "hear one another" in line and line.count("NATS 2.") == 3


async def test_what_is_wrong_is_named_with_the_server_and_its_remedy(cluster: Cluster, tmp_path: Path) -> None:
    first, second, _ = cluster.urls
    cluster.kill(1)
    (line,) = await look(cluster, [first, second])
    assert line.startswith("fix ") and str(cluster.ports[1]) in line and "can't be reached" in line
    for url, word in (
        (first.replace(PASSWORD, "wrong"), "user and password"),
        (first.replace(USER, STRANGER), "publish and subscribe below hum.>"),
        (first.replace("localhost", "nobody.invalid"), "can't be resolved"),
        (f"tls://localhost:{free_port('127.0.0.1')}", "can't be reached"),
    ):
        (line,) = await look(cluster, [url])
        assert line.startswith("fix ") and word in line, (url, line)
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    (line,) = await look(cluster, [first], tls_ca=tmp_path / "other.pem")
    assert "don't trust" in line
    (line,) = await look(cluster, [first], tls_cert=None, tls_key=None)
    assert "refuses our certificate" in line


async def test_servers_that_are_no_cluster_keep_hints_to_themselves(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Cluster(tmp_path / "other", size=1, ca=cluster.ca) as other:
        (line,) = await look(cluster, [cluster.urls[0], *other.urls])
        assert str(other.ports[0]) in line and "one cluster" in line and str(cluster.ports[0]) in line


@pytest.mark.timeout(20)
async def test_the_look_ends_although_the_library_swallows_a_cancellation() -> None:
    class Swallowing(busfacts.BusServer):
        async def publish(self, place: str) -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)

    servers = [Swallowing(f"nats://127.0.0.1:{port}", ssl.create_default_context(), 1.0) for port in (1, 2)]
    await servers[0]._receive(Msg(None))  # type: ignore[arg-type]  # it hears itself
    await busfacts._publish_to_all(servers, "place", 0.3)
    assert [each.fault for each in servers] == ["", "apart"]


async def test_a_server_that_says_nothing_and_one_without_tls(cluster: Cluster) -> None:
    cluster.freeze(0)
    (line,) = await look(cluster, [cluster.urls[0]])
    cluster.thaw(0)
    assert "can't be reached" in line

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1024}\r\n')
        await writer.drain()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (line,) = await look(cluster, [f"tls://{USER}:{PASSWORD}@127.0.0.1:{port}"])
    assert "TLS" in line and "give it a certificate" in line
