"""The media plane as `hum media` starts it, with a stand-in for control, and the load."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.media import control
from bench.media.processes import running
from hum.process.sockets import free_port
from hum.settings import MediaSettings
from sandbox.twilio import sign
from tests.support.processes import children

TOKEN, NODE_KEY = "the benchmark's token", "the benchmark's node key which is long enough"
PATH = "/media/twilio"
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Product:
    port: int
    metrics_port: int
    pids: Sequence[int]  # of the processes that carry calls
    control: control.Control


@asynccontextmanager
async def serving(
    workers: int, model_port: int, *, recording: bool = False, authority: Path | None = None
) -> AsyncIterator[Product]:
    """Run a media plane; it connects to the model by TLS if there is an `authority`, a PEM file."""
    with tempfile.TemporaryDirectory() as home:
        # Workers count up from the metrics' port.
        port, metrics_port = free_port("127.0.0.1"), free_port("127.0.0.1", workers + 1)
        environment = {
            "HUM_HOME": home,
            "HUM_NODE_KEY": NODE_KEY,
            "HUM_MEDIA_LISTEN": f"127.0.0.1:{port}",
            "HUM_METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
            "HUM_MEDIA_URL": f"ws://127.0.0.1:{port}",
            "HUM_MAX_CALLS": "10000",
            "HUM_DRAIN_SECONDS": "0",
            "HUM_LOG_LEVEL": "warning",
            "TWILIO_AUTH_TOKEN": TOKEN,
            "OPENAI_API_KEY": "the benchmark's key",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
        }
        if authority is not None:
            environment |= {
                "OPENAI_BASE_URL": f"https://localhost:{model_port}/v1",
                "SSL_CERT_FILE": str(authority),
            }
        async with control.serving(MediaSettings(node_key=NODE_KEY), recording) as (fake, control_port):
            environment["HUM_CONTROL_ADDRESS"] = f"127.0.0.1:{control_port}"
            async with running(["-m", "media.app", "--workers", str(workers)], environment) as media:
                for _ in range(workers):
                    await asyncio.wait_for(fake.up.acquire(), 20)
                yield Product(port, metrics_port, [media.pid] if workers == 1 else children(media.pid), fake)


async def callers(
    port: int, pids: Sequence[int], calls: int, seconds: float, warm_up: float, connects_per_second: float = 60.0
) -> Figures:
    """Run `calls` callers for `seconds`; return their observations and the cost to the processes `pids`."""
    url = f"ws://127.0.0.1:{port}{PATH}"
    arguments = ["-m", "bench.media.callers", "--url", url, "--signature", sign(TOKEN, url)]
    arguments += ["--pid", *map(str, pids)]
    arguments += ["--calls", str(calls), "--seconds", str(seconds), "--warm-up", str(warm_up)]
    arguments += ["--connects-per-second", str(connects_per_second)]
    async with running(arguments) as generator:
        figures: Figures = json.loads(await generator.line())
    return figures
