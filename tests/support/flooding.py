"""Strangers at a public socket, all at once, as a program of their own: what they cost is the server's, and not the observer's.

`python -m tests.support.flooding URL KIND` reads a line from its input, a `Crowd` as JSON.  It prints `begun` once each of them has begun or was
turned away, and when all have left, what they were answered, as JSON: statuses and their numbers.
Whoever is closed comes again for as long as the flood lasts, and then waits until it is closed: what never closes it keeps the program
from its end.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Final

import uvloop

from tests.support.programs import running
from tests.support.wires import READ_BYTES, Wire, dial, head

KB, MB = 1 << 10, 1 << 20
ROOT: Final = Path(__file__).parents[2]
#: Whoever holds a place without a request has lost it by then, after the flood.
CLOSED_SECONDS: Final = 120.0
#: So many connect at a time.
AT_ONCE: Final = 100
#: How long a stranger takes to send: less than any server's patience.
SEND_SECONDS: Final = 2.0
#: After it was turned away at once.
AGAIN_SECONDS: Final = 0.05
JSON_BODY: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Crowd:
    """How many strangers come and come again for how long; of whom each, by turns, has one of these keys and addresses."""

    count: int
    seconds: float
    keys: Sequence[str] = ()
    #: Addresses of this machine, from which they connect.
    sources: Sequence[str] = ()
    #: The authority whose TLS they trust.
    tls: str = ""


@dataclass
class Stranger:
    """One of them, and what it was answered."""

    number: int
    key: str
    answers: Counter[int]
    ends_s: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.ends_s

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return its headers: a proxy names an address of its own for it."""
        address = f"198.18.{self.number // 250}.{self.number % 250}"
        return {"X-Forwarded-For": address, **({"Authorization": f"Bearer {self.key}"} if self.key else {}), **more}

    def request(self, verb: str, path: str, body: bytes = b"", size: int | None = None, **more: str) -> bytes:
        """Return a request, or the beginning of one whose body has `size` bytes."""
        length = len(body) if size is None else size
        named = self.headers({**JSON_BODY, **more, "Content-Length": str(length)})
        return head(verb, path, named).encode() + body


Act = Callable[[Wire, Stranger], Awaitable[None]]


async def until_closed(wire: Wire, stranger: Stranger) -> None:
    """Read until the other side closes; note the status of a first answer."""
    if answer := await wire.reader.read(READ_BYTES):
        stranger.answers[int(answer.split(maxsplit=2)[1])] += 1
        while await wire.reader.read(READ_BYTES):
            pass


def sends(begin: Callable[[Stranger], bytes]) -> Act:
    """Return an act: send this much, and stop."""

    async def act(wire: Wire, stranger: Stranger) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await wire.send(begin(stranger))
        await until_closed(wire, stranger)

    return act


def half_body(path: str = "/api/flows", size: int = MB, **more: str) -> Act:
    return sends(lambda stranger: stranger.request("POST", path, b"x" * (size - 10), size, **more))


async def crumbs(wire: Wire, stranger: Stranger) -> None:
    """Send chunks of one byte, after the refusal."""
    await wire.send(head("POST", "/api/flows", {**stranger.headers(JSON_BODY), "Transfer-Encoding": "chunked"}))
    status, _ = await wire.answer(60)
    stranger.answers[status] += 1
    while True:
        await wire.send("1\r\nx\r\n" * 100)


async def dripping_body(wire: Wire, stranger: Stranger) -> None:
    """Send half a body, and then a byte a second."""
    await wire.send(stranger.request("POST", "/api/flows", b"x", 1_000))
    reading = asyncio.ensure_future(until_closed(wire, stranger))
    while not reading.done():
        await asyncio.wait([reading], timeout=1)
        with suppress(ConnectionError):
            await wire.send(b"x")
    await reading


async def read_a_stream(wire: Wire, stranger: Stranger) -> None:
    """Read events until the flood is over."""
    await wire.send(head("GET", "/api/stream", stranger.headers({})))
    status = int((await wire.reader.readuntil(b"\r\n")).split()[1])
    stranger.answers[status] += 1
    while status == 200 and not stranger.is_over:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):  # meant to run out
                if not await wire.reader.read(READ_BYTES):
                    return
    if status != 200:
        await asyncio.sleep(1)


def costly(size: int) -> Act:
    """Return an act: one request after another of which little is right, each with this many bytes, or with a long head."""
    recipient = {"contact_e164": "", "variables": {f"a{n}": "" for n in range(50)}}
    recipients = [recipient] * min(2_000, size // (2 + len(json.dumps(recipient))))
    bodies = [
        ("POST", "/api/flows", b'{"name":"F","knowledge_ids":[' + b"7," * (size // 2) + b"7]}", "application/json"),
        ("GET", "/api/flows?a" + '["' * (30 * 1000) + "=1", b"", "application/json"),
        ("GET", f"/api/flows?{'a' * 40_000}=1", b"", "application/json"),
        (
            "POST",
            "/api/sms/campaigns/camp_01JZZZZZZZZZZZZZZZZZZZZZZZ/recipients",
            json.dumps({"recipients": recipients, "x": 1}).encode(),
            "application/json",
        ),
        ("POST", "/api/contacts/import", b"phone,name\n" + b"7,\xc2\xa0\n" * (size // 6), "text/csv"),
    ]

    async def act(wire: Wire, stranger: Stranger) -> None:
        for turn in range(stranger.number, sys.maxsize):
            verb, path, body, kind = bodies[turn % len(bodies)]
            await wire.send(stranger.request(verb, path, body, None, **{"Content-Type": kind}))
            status, _ = await wire.answer(60)
            stranger.answers[status] += 1
            if stranger.is_over:
                return

    return act


KINDS: Final[Mapping[str, Act]] = {
    "idle": until_closed,
    # Of a TLS record.
    "half-hello": sends(lambda _: b"\x16"),
    "half-head": sends(lambda stranger: head("POST", "/api/flows", stranger.headers({"X-Pad": "y" * 30_000})).encode()[:-2]),
    "short-half-head": sends(lambda _: b"POST /api/flows HTTP/1.1\r\nHost: localhost\r\nX-"),
    "half-body": half_body(),
    "half-webhook": half_body("/twilio/voice", 60_000, **{"X-Twilio-Signature": "A" * 27 + "="}),
    "short-half-body": half_body("/api/flows", 1_000),
    "short-half-webhook": half_body("/twilio/voice", 1_000),
    "dripping-body": dripping_body,
    "crumbs": crumbs,
    "stream": read_a_stream,
    "costly-1m": costly(MB - KB),
    "costly-250k": costly(250 * KB),
}  # fmt: skip


async def flood(url: str, act: Act, crowd: Crowd) -> Counter[int]:
    """Return what all were answered, when the last one has left."""
    tls = ssl.create_default_context(cafile=crowd.tls) if crowd.tls else None
    few, answers, waiting = asyncio.Semaphore(AT_ONCE), Counter[int](), crowd.count
    ends_s = time.monotonic() + crowd.seconds

    async def come(number: int) -> None:
        nonlocal waiting
        key = crowd.keys[number % len(crowd.keys)] if crowd.keys else ""
        source = crowd.sources[number % len(crowd.sources)] if crowd.sources else None
        stranger, is_first = Stranger(number, key, answers, ends_s), True
        while is_first or not stranger.is_over:
            acting = None
            try:
                async with few:
                    wire = await dial(url, tls, source)
                    acting = asyncio.ensure_future(act(wire, stranger))
                    await asyncio.wait([acting], timeout=AGAIN_SECONDS)
            except OSError:
                pass
            if is_first:
                is_first, waiting = False, waiting - 1
                if not waiting:
                    sys.stdout.write("begun\n")
                    sys.stdout.flush()
            if acting is not None:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await acting
                wire.writer.close()
            await asyncio.sleep(AGAIN_SECONDS)

    await asyncio.gather(*map(come, range(crowd.count)))
    return answers


def main(url: str, kind: str) -> None:
    crowd = Crowd(**json.loads(sys.stdin.readline()))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    answers = uvloop.run(flood(url, KINDS[kind], crowd))
    sys.stdout.write(json.dumps(dict(sorted(answers.items()))) + "\n")


async def run(url: str, kind: str, crowd: Crowd) -> Mapping[str, int]:
    """Flood, in a process of its own; return what the strangers were answered, when the last one was closed."""
    command, pipes = (sys.executable, "-m", "tests.support.flooding", url, kind), {"stdin": PIPE, "stdout": PIPE}
    async with running(*command, cwd=ROOT, **pipes) as strangers:
        assert strangers.stdin is not None, "made with a pipe"
        strangers.stdin.write(json.dumps(asdict(crowd)).encode() + b"\n")
        strangers.stdin.flush()
        assert await strangers.line() == "begun"
        async with asyncio.timeout(crowd.seconds + CLOSED_SECONDS):
            answers: dict[str, int] = json.loads(await strangers.line())
        return answers


if __name__ == "__main__":
    main(*sys.argv[1:])
