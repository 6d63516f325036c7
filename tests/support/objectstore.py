"""A real object store for tests, SeaweedFS, and a proxy before it that makes trouble."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from hum.clock import now
from hum.objects.multipart import EMPTY, SignableRequest, sign_request
from hum.process.sockets import free_port
from tests.support.waits import patience

KEY_ID, SECRET, REGION, BUCKET = (
    "AKHUMTESTKEY00000000",
    "humtestsecrethumtestsecrethumtestsecret0",
    "us-east-1",
    "calls",
)
WEED = Path(sys.executable).with_name("weed")


@dataclass(frozen=True)
class Store:
    """A store with one empty bucket."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, endpoint: str = "", prefix: str = "hum") -> dict[str, Any]:
        """Those of whoever uses it."""
        return {
            "recordings_url": f"s3://{BUCKET}/{prefix}",
            "s3_endpoint": endpoint or self.endpoint,
            "s3_access_key_id": KEY_ID,
            "s3_secret_access_key": SECRET,
        }

    async def ask(self, method: str, path: str) -> int:
        """The status of a signed request without a query."""
        headers = sign_request(
            SignableRequest(method, f"127.0.0.1:{self.port}", path, ""), KEY_ID, SECRET, REGION, now()
        )
        assert headers["x-amz-content-sha256"] == EMPTY
        async with (
            aiohttp.ClientSession(trust_env=False) as http,
            http.request(method, URL(f"{self.endpoint}{path}", encoded=True), headers=headers) as answer,
        ):
            return answer.status


@contextmanager
def serving(folder: Path) -> Iterator[Store]:
    """Run a store in this folder."""
    assert WEED.exists(), f"{WEED} is missing: install the extra `dev`"
    port, *others = (free_port("127.0.0.1") for _ in range(4))
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {
        "name": "hum",
        "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
        "actions": actions,
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    options = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.port": port, "s3.config": folder / "s3.json",
        "master.port": others[0], "volume.port": others[1], "filer.port": others[2], "volume.max": 20,
        "master.volumeSizeLimitMB": 64, "metricsPort": 0, "s3.port.iceberg": 0, "s3.port.lance": 0,
    }  # fmt: skip
    command = [
        str(WEED),
        "-logtostderr=true",
        "server",
        "-s3",
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    with (folder / "weed.log").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            asyncio.run(_ready(Store(port), process, folder))
            yield Store(port)
        finally:
            process.send_signal(signal.SIGKILL)  # at SIGTERM it takes its time


async def _ready(store: Store, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until the store has a bucket, and takes an object."""
    async with patience():
        while True:
            assert process.poll() is None, (folder / "weed.log").read_text()[-2000:]
            with suppress(aiohttp.ClientError):
                if await store.ask("PUT", f"/{BUCKET}") in {200, 409} and await store.ask("PUT", f"/{BUCKET}/x") == 200:
                    return
            await asyncio.sleep(0.1)


class Trouble:
    """What a proxy before the store does with requests: the next `left` of them, if they are of that method."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.mode, self.left, self.methods = "", 0, frozenset({"PUT", "POST", "GET", "HEAD", "DELETE"})
        self.seen = 0
        self.url = ""
        #: What was asked, each with its headers.
        self.heads: list[str] = []

    def begin(self, mode: str, times: int, *methods: str) -> None:
        """`500`; `silent`: no answer; `abort`: the connection ends in the body; `lost`: done, and not said; `flip`: a
        bit of the body is another; `slow`.
        """
        self.mode, self.left, self.seen = mode, times, 0
        self.methods = frozenset(methods) or self.methods

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await self._request(reader, writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        method, length = head.partition(b" ")[0].decode(), 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        mode = ""
        if self.left > 0 and method in self.methods:
            mode, self.left, self.seen = self.mode, self.left - 1, self.seen + 1
        if mode == "abort":
            await reader.readexactly(min(length, 100_000))
            writer.transport.abort()
            return
        if mode == "silent":
            await asyncio.sleep(3600)
        body = b""
        while len(body) < length:
            body += await reader.read(min(64 << 10, length - len(body)))
            if mode == "slow":
                await asyncio.sleep(0.05)
        if mode == "500":
            said = b"<Error><Code>InternalError</Code><Message>x</Message></Error>"
            writer.write(b"HTTP/1.1 500 X\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(said) + said)
            await writer.drain()
            return
        if mode == "flip" and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        onward, back = await asyncio.open_connection("127.0.0.1", self._store.port)
        back.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
        answer = await onward.read(-1)
        back.close()
        if mode == "lost":
            writer.transport.abort()
            return
        writer.write(answer)
        await writer.drain()


@asynccontextmanager
async def troubled(store: Store) -> AsyncIterator[Trouble]:
    """A proxy before the store."""
    trouble = Trouble(store)
    server = await asyncio.start_server(trouble.serve, "127.0.0.1", 0, limit=1 << 20)
    trouble.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield trouble
    finally:
        server.close()
