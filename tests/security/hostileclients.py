"""The program that uses a hostile server as we use an honest one, and prints what that cost.

    python -m tests.security.hostileclients KIND PORT

It prints JSON: how it ended, the memory that it added in MB, and the longest time of the processor, in seconds, that the event loop
spent without serving anybody else: what a caller would wait.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING

from tests.support.processes import peak_kib

if TYPE_CHECKING:
    from hum.objects.bucket import Bucket

#: A client that has not given up by then never does.
MOST_SECONDS = 60.0
SMTP_SECONDS = 2.0


async def smtp(port: int) -> str:
    from hum import smtp as mail

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "hum@clinic.example", "ann@clinic.example", "Hello"
    message.set_content("Hello.")
    server = mail.SmtpServer("127.0.0.1", port, "none", "ann", "secret", None, SMTP_SECONDS)
    try:
        await mail.send(server, message)
    except (mail.NotSent, mail.Rejected) as error:
        return type(error).__name__
    return "sent"


def bucket(port: int) -> "Bucket":
    from hum.objects.bucket import open_bucket
    from hum.settings import MediaSettings
    from hum.settings.recordings import BucketName

    settings = MediaSettings(
        s3_endpoint=f"http://127.0.0.1:{port}",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
        s3_connect_seconds=1.0,
        s3_request_seconds=1.5,
        s3_retries=1,
        s3_retry_seconds=2.0,
    )
    return open_bucket(settings, BucketName("b", ""))


async def outcomes(*acts: Awaitable[object]) -> str:
    from hum.contract.errors import StoreUnavailable

    found = []
    for act in acts:
        try:
            await act
        except (StoreUnavailable, FileNotFoundError) as error:
            found.append(type(error).__name__)
        else:
            found.append("done")
    return " ".join(found)


async def s3(port: int) -> str:
    store = bucket(port)
    return await outcomes(store.size("a/x"), store.load("a/x"), store.list_paths("a/"), store.put("a/x", b"y"))


async def s3_load(port: int) -> str:
    return await outcomes(bucket(port).load("a/x"))


async def nats(port: int) -> str:
    from control.natsbus import NatsBus, Servers, tls

    bus = NatsBus(Servers([f"nats://127.0.0.1:{port}"], tls(None, None, None), silent_seconds=1.0))
    await bus.start([])
    await asyncio.sleep(4)
    await bus.stop()
    return "stopped"


KINDS: Mapping[str, Callable[[int], Awaitable[str]]] = {"smtp": smtp, "s3": s3, "s3_load": s3_load, "nats": nats}


class Stretches:
    """The longest time of the processor between two turns of the event loop."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now
            await asyncio.sleep(0.005)
            last = time.thread_time()


async def main(kind: str, port: int) -> None:
    # Imports and first uses are no part of the figure.
    with suppress(Exception):
        await asyncio.wait_for(KINDS[kind](1), MOST_SECONDS)
    before = peak_kib()
    stretches = Stretches()
    watching = asyncio.create_task(stretches.watch())
    try:
        outcome = await asyncio.wait_for(KINDS[kind](port), MOST_SECONDS)
    except TimeoutError:
        outcome = "never gave up"
    watching.cancel()
    added = (peak_kib() - before) / 1024
    cost = {"outcome": outcome, "memory_mb": round(added), "stretch_s": round(stretches.longest, 3)}
    sys.stdout.write(json.dumps(cost) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
