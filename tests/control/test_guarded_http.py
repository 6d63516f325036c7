"""The guarded client against real servers on loopback that misbehave."""

import asyncio
import gzip
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from control.base.egress import EgressError, Policy, Reason
from control.clients.http import GuardedClient, HttpAnswer, HttpLimits, _SocketFactory
from hum import ids
from hum.settings import ControlSettings

ORG = ids.new()
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LOOPBACK = Policy((ip_network("127.0.0.1/32"), ip_network("::1/128")))
LIMITS = HttpLimits(total_seconds=10.0, connect_seconds=10.0, response_bytes=10_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


class Server:
    """Answers each connection with a handler; records what it receives."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[bytes] = []
        self.connections = self.open = self.most = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


def says(answer: bytes) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return handler


@asynccontextmanager
async def server(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    one = Server(handler)
    listening = await asyncio.start_server(one.serve, host, 0, ssl=tls)
    one.port = listening.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        listening.close()


@asynccontextmanager
async def client(
    policy: Policy = LOOPBACK, limits: HttpLimits = LIMITS, **options: object
) -> AsyncIterator[GuardedClient]:
    http = GuardedClient(policy, limits, **options)  # type: ignore[arg-type]
    try:
        yield http
    finally:
        await http.close()


async def fetch(handler: Handler, **options: object) -> HttpAnswer:
    async with server(handler) as one, client() as http:
        return await http.request("GET", f"http://127.0.0.1:{one.port}/", org=None, **options)  # type: ignore[arg-type]


async def refused(handler: Handler, **options: object) -> Reason:
    with pytest.raises(EgressError) as error:
        await fetch(handler, **options)
    return error.value.reason


def names(*answers: list[str]) -> Callable[[str, int], list[str]]:
    """A resolver that answers differently each time; the last answer stays."""
    left = list(answers)

    def lookup(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return left.pop(0) if len(left) > 1 else left[0]

    asked: list[tuple[str, int]] = []
    lookup.asked = asked  # type: ignore[attr-defined]
    return lookup


async def test_an_answer_comes_back_whole() -> None:
    async with server(says(OK)) as one, client() as http:
        answer = await http.request(
            "POST", f"http://127.0.0.1:{one.port}/a?b=c", org=None, headers={"X-HUM-Event": "ping"}, body=b"{}"
        )
    assert (answer.status, answer.body, answer.truncated) == (200, b"hi", False)
    assert answer.headers["content-length"] == "2"
    assert answer.elapsed_ms > 0
    head = one.requests[0].decode().lower()
    assert head.startswith("post /a?b=c http/1.1")
    assert "x-hum-event: ping" in head and f"host: 127.0.0.1:{one.port}" in head and "cookie" not in head


async def test_a_header_that_is_no_unicode_can_be_stored() -> None:
    answer = await fetch(says(b"HTTP/1.1 200 OK\r\nContent-Type: text/\xffcaf\xc3\xa9\r\nContent-Length: 0\r\n\r\n"))
    assert answer.headers["content-type"] == "text/\N{REPLACEMENT CHARACTER}café"


async def test_a_name_that_changes_its_mind_is_looked_up_once_for_each_connection() -> None:
    lookup = names(["127.0.0.1"], ["127.0.0.2"])
    async with server(says(OK), host="127.0.0.1") as one, client(lookup=lookup) as http:
        url = f"http://rebind.test:{one.port}/"
        assert (await http.request("GET", url, org=None)).status == 200
        assert lookup.asked == [("rebind.test", one.port)]  # type: ignore[attr-defined]
        with pytest.raises(EgressError) as error:
            await http.request("GET", url, org=None)
    assert error.value.reason is Reason.BLOCKED
    assert one.connections == 1
    assert f"Host: rebind.test:{one.port}".encode() in one.requests[0]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["fe80::1%lo"]],
)
async def test_every_address_of_a_name_is_checked(addresses: list[str]) -> None:
    async with server(says(OK)) as one, client(lookup=names(addresses)) as http:
        with pytest.raises(EgressError) as error:
            await http.request("GET", f"http://mixed.test:{one.port}/", org=None)
    assert (error.value.reason, one.connections) == (Reason.BLOCKED, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1", "0.0.0.0", "[::]"])  # fmt: skip
async def test_addresses_in_a_url_are_checked_though_nothing_is_looked_up(host: str) -> None:
    async with server(says(OK)) as one, client(Policy()) as http:
        with pytest.raises(EgressError) as error:
            await http.request("GET", f"https://{host}:{one.port}/", org=None)
    assert (error.value.reason, one.connections) == (Reason.BLOCKED, 0)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "user@127.0.0.1"])
async def test_disguises_reach_nothing(host: str) -> None:
    async with server(says(OK)) as one, client(Policy()) as http:
        with pytest.raises(EgressError) as error:
            await http.request("GET", f"http://{host}:{one.port}/", org=None)
    assert error.value.reason in {Reason.INVALID, Reason.BLOCKED}
    assert one.connections == 0


async def test_localhost_is_looked_up_and_refused_and_reached_where_allowed() -> None:
    async with server(says(OK)) as one:
        async with client(Policy()) as http:
            with pytest.raises(EgressError) as error:
                await http.request("GET", f"http://localhost.:{one.port}/", org=None)
            assert (error.value.reason, one.connections) == (Reason.BLOCKED, 0)
        async with client() as http:
            assert (await http.request("GET", f"http://localhost:{one.port}/", org=None)).status == 200


def test_the_socket_itself_is_checked() -> None:
    make = _SocketFactory(Policy(), "https")
    with pytest.raises(EgressError):
        make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 443)))
    with pytest.raises(EgressError):
        make((socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::ffff:127.0.0.1", 443, 0, 0)))
    make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("1.1.1.1", 443))).close()


async def test_a_redirect_is_an_answer() -> None:
    async with server(says(OK)) as inner:
        location = f"http://127.0.0.1:{inner.port}/secret".encode()
        answer = await fetch(says(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"))
    assert (answer.status, inner.connections) == (302, 0)


async def test_no_proxy_cookie_or_netrc_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with server(says(OK)) as proxy, server(says(answer)) as one, client() as http:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for _ in range(2):
            await http.request("GET", f"http://127.0.0.1:{one.port}/", org=None)
    assert (proxy.connections, one.connections) == (0, 2)
    assert b"cookie" not in one.requests[1].lower() and b"authorization" not in one.requests[1].lower()


# --- what an answer may cost --------------------------------------------------------------------------------------


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def slow_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        writer.write(f"X-{number}: 1\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.02)


def compressed(body: bytes, encoding: bytes = b"gzip") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\nConnection: close\r\nContent-Length: "
    return head + str(len(body)).encode() + b"\r\n\r\n" + body


def bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(60)) + packer.flush()


async def test_an_endless_body_is_too_large_or_cut() -> None:
    assert await refused(endless) is Reason.TOO_LARGE
    answer = await fetch(endless, truncate=True, response_bytes=3000)
    assert (answer.body, answer.truncated) == (b"x" * 3000, True)


async def test_a_body_of_exactly_the_limit_is_whole() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000
    answer = await fetch(says(body))
    assert (len(answer.body), answer.truncated) == (10_000, False)
    assert await refused(says(body), response_bytes=9_999) is Reason.TOO_LARGE


async def test_a_gzip_bomb_costs_what_it_may() -> None:
    packed = compressed(bomb())
    assert len(packed) < 100_000  # and 60 MB unpacked
    began = time.process_time()
    assert await refused(says(packed)) is Reason.TOO_LARGE
    answer = await fetch(says(packed), truncate=True)
    assert (answer.body, answer.truncated) == (b"\0" * 10_000, True)
    assert time.process_time() - began < 1


async def test_gzip_is_read_and_what_is_damaged_is_not() -> None:
    assert (await fetch(says(compressed(gzip.compress(b"hello"))))).body == b"hello"
    assert (await fetch(says(compressed(b"")))).body == b""
    assert await refused(says(compressed(gzip.compress(b"hello")[:-6]))) is Reason.PROTOCOL
    assert await refused(says(compressed(b"hello"))) is Reason.PROTOCOL
    assert await refused(says(compressed(b"hello", b"br"))) is Reason.PROTOCOL
    assert await refused(says(compressed(gzip.compress(b"") * 2000))) in {Reason.TOO_LARGE, Reason.PROTOCOL}


@pytest.mark.parametrize("handler", [drip, silent, slow_headers])
async def test_time_is_bounded_whatever_it_is_spent_on(handler: Handler) -> None:
    assert await refused(handler, total_seconds=0.3) is Reason.TIMEOUT


async def test_a_request_may_have_less_time_but_not_more() -> None:
    limits = HttpLimits(total_seconds=0.3)
    async with server(silent) as one, client(limits=limits) as http:
        for seconds in (15.0, 0.1, 100.0):
            with pytest.raises(EgressError) as error:
                await http.request("GET", f"http://127.0.0.1:{one.port}/", org=None, total_seconds=seconds)
            assert error.value.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(500)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=["many headers", "a huge header", "a huge status", "cut off", "bad chunks", "not HTTP", "nothing"],
)
async def test_what_is_no_answer(answer: bytes) -> None:
    assert await refused(says(answer)) is Reason.PROTOCOL


async def test_connections_are_bounded() -> None:
    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(OK)
        await writer.drain()

    limits = HttpLimits(total_seconds=10, connect_seconds=10, connections=3, host_requests=2)
    lookup = names(["127.0.0.1"])
    async with server(slow) as one, client(limits=limits, lookup=lookup) as http:
        await asyncio.gather(*(http.request("GET", f"http://one.test:{one.port}/", org=None) for _ in range(6)))
        assert one.most == 2
        await asyncio.gather(*(http.request("GET", f"http://{n}.test:{one.port}/", org=None) for n in "abcdef"))
        assert one.most == 3


async def test_a_name_server_that_hangs_delays_nobody_else() -> None:
    def lookup(host: str, port: int) -> list[str]:
        if host == "slow.test":
            time.sleep(2)
        return ["127.0.0.1"]

    limits = HttpLimits(total_seconds=10, connect_seconds=1)
    async with server(says(OK)) as one, client(limits=limits, lookup=lookup) as http:
        waiting = [
            asyncio.create_task(http.request("GET", f"http://slow.test:{one.port}/", org=None)) for _ in range(3)
        ]
        await asyncio.sleep(0)
        assert (await http.request("GET", f"http://quick.test:{one.port}/", org=None)).status == 200
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {each.reason for each in results if isinstance(each, EgressError)} == {Reason.CONNECT}
    assert one.connections == 1


async def test_names_without_addresses_and_ports_without_servers() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")

    async with client(lookup=nowhere) as http:
        with pytest.raises(EgressError) as error:
            await http.request("GET", "https://nowhere.test/", org=None)
    assert (error.value.reason, error.value.is_ambiguous) == (Reason.DNS, False)
    async with server(says(OK)) as one:
        pass
    async with client() as http:
        with pytest.raises(EgressError) as error:
            await http.request("GET", f"http://127.0.0.1:{one.port}/", org=None)
    assert (error.value.reason, error.value.is_ambiguous) == (Reason.CONNECT, False)


async def test_methods_and_headers_are_checked_before_anything_is_looked_up() -> None:
    lookup = names(["127.0.0.1"])
    async with client(lookup=lookup) as http:
        for method, headers in (("CONNECT", {}), ("GET", {"Host": "internal"}), ("GET", {"X": "a\r\nb"})):
            with pytest.raises(EgressError) as error:
                await http.request(method, "https://example.test/", org=None, headers=headers)
            assert error.value.reason is Reason.INVALID
    assert lookup.asked == []  # type: ignore[attr-defined]


# --- TLS ----------------------------------------------------------------------------------------------------------


def certificate(path: Path, host: str) -> ssl.SSLContext:
    """A server's TLS context with a self-signed certificate for a host, stored in `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_tls_is_checked_by_the_urls_name_and_not_by_the_address(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    context = certificate(pem, "hooks.test")
    trusting = ssl.create_default_context(cafile=str(pem))
    lookup = names(["127.0.0.1"])
    async with server(says(OK), tls=context) as one:
        async with client(lookup=lookup, tls=trusting) as http:
            assert (await http.request("GET", f"https://hooks.test:{one.port}/", org=None)).body == b"hi"
            for host in ("other.test", "127.0.0.1"):
                with pytest.raises(EgressError) as error:
                    await http.request("GET", f"https://{host}:{one.port}/", org=None)
                assert error.value.reason is Reason.TLS
        async with client(lookup=lookup) as http:
            with pytest.raises(EgressError) as error:
                await http.request("GET", f"https://hooks.test:{one.port}/", org=None)
            assert error.value.reason is Reason.TLS
    limits = HttpLimits(connect_seconds=0.5)
    async with server(says(OK)) as plain, client(limits=limits, lookup=lookup) as http:
        with pytest.raises(EgressError) as error:  # it waits for the end of a header
            await http.request("GET", f"https://hooks.test:{plain.port}/", org=None)
        assert error.value.reason is Reason.CONNECT


async def test_the_operators_networks_come_from_the_settings() -> None:
    async with server(says(OK)) as one:
        for allow, reached in (("", False), ("10.0.0.0/8, 127.0.0.0/8", True)):
            http = GuardedClient.open(ControlSettings(egress_allow=allow))
            try:
                answer = await http.request("GET", f"http://127.0.0.1:{one.port}/", org=None)
                assert reached and answer.status == 200
            except EgressError as error:
                assert not reached and error.reason is Reason.BLOCKED
            finally:
                await http.close()
