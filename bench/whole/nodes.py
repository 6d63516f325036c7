"""The machines: three nodes, the database with the bus, and the outside with the proxy."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.whole.judge import Facts
from bench.whole.outside import ACCOUNT, CARRIER_PORT, KEY, MODEL_PORT, NUMBER, SETTLE_SECONDS, TOKEN
from hum.process.production import make_keys
from tests.chaos import net
from tests.chaos.net import ROOT, Network
from tests.chaos.servers import Postgres, url
from tests.support.programs import variables

NODES, DATABASE, OUTSIDE = ("a", "b", "c"), "d", "o"
START_SECONDS = 120
LOOK_SECONDS = 0.1
#: deploy/proxies/haproxy.cfg with one backend, plain, and on this network.
HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 3s
    option redispatch
    retries 3
frontend hum
    bind {front}
    option forwardfor
    default_backend hum_gateway
backend hum_gateway
    retry-on conn-failure
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host hum
    default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""
SETTINGS = {
    "HUM_MEDIA_WORKERS": "1",
    "HUM_DRAIN_SECONDS": "90",
    "min_free_bytes": "0",
    "HUM_LOG_LEVEL": "warning",
    # One organization's one client and one number make all the load.
    "organization_requests": "16",
    "rate_per_second": "1000",
    "rate_burst": "2000",
    "organization_rate_per_second": "1000",
    "organization_rate_burst": "2000",
    "HUM_TEXT_SEGMENTS_PER_SECOND": "1000",
    # Shortened: a text whose response was lost is looked up twice before it is sent again.
    "carrier_seconds": "4",
    "carrier_connect_seconds": "1",
    "carrier_look_seconds": "6",
    "sweep_seconds": "2",
    # Fifteen processes share a few cores with the load, so their lateness must not refuse calls.
    "max_lag_ms": "5000",
    "max_late_ms": "1000",
}


def missing() -> list[str]:
    """Return one sentence per requirement that this machine lacks."""
    sentences = net.missing()
    if os.geteuid() != 0:
        sentences.append("network namespaces need root")
    if not _haproxy():
        sentences.append("`haproxy` is missing: install it")
    return sentences


def _haproxy() -> str | None:
    return shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass
class Machines:
    """The running machines and their programs."""

    network: Network
    home: Path
    database: Postgres
    common: Mapping[str, str]
    outside: asyncio.subprocess.Process
    front: str
    running: dict[str, "subprocess.Popen[Any]"] = field(default_factory=dict)

    # -- nodes

    async def start(self, node: str, *flags: str) -> None:
        """Start `hum up` on a node; return when it serves, or with `--replace` when its predecessor has ended."""
        home, address = self.home / node, self.network.address(node)
        home.mkdir(exist_ok=True)
        run_file = home / "run.json"
        run_file.unlink(missing_ok=True)
        environment = variables(
            {
                **self.common,
                "HUM_HOME": str(home),
                "node": node,
                "HUM_MEDIA_URL": f"ws://{address}:8081",
                "HUM_CONTROL_LISTEN": f"{address}:50051",
                "HUM_GATEWAY_LISTEN": f"{address}:8080",
                "HUM_MEDIA_LISTEN": f"{address}:8081",
            }
        )
        predecessor = self.running.get(node)
        with (self.home / f"{node}.log").open("a") as log:
            command = [sys.executable, "-m", "cli", "up", *flags]
            self.running[node] = self.network.start(node, command, env=environment, stdout=log, stderr=log, cwd=ROOT)
        async with asyncio.timeout(START_SECONDS):
            while not run_file.exists() or (
                "--replace" in flags and predecessor is not None and predecessor.poll() is None
            ):
                assert self.running[node].poll() is None, (self.home / f"{node}.log").read_text()[-2000:]
                await asyncio.sleep(LOOK_SECONDS)

    def kill(self, node: str) -> None:
        """Kill every process of the node at once, as `kill -9`."""
        self.network.kill(node)

    def cut(self, node: str) -> None:
        """Cut the node off from the database, the bus and the other nodes; the outside still reaches it."""
        self.network.part(node, ",".join([DATABASE, *(other for other in NODES if other != node)]))

    def heal(self) -> None:
        self.network.heal()

    # -- the load

    async def load(self) -> None:
        """Begin the load."""
        await self._order("begin", "loaded")

    async def facts(self) -> Facts:
        """End the load, and return its observations."""
        printed = json.loads(await self._order("end", "{"))
        stored = await self._settled(printed["contacts_in"])
        epoch_offset = time.time() - time.monotonic()
        facts = Facts.of(printed)
        texts_in = []
        for text, contact in zip(facts.texts_in, printed["contacts_in"], strict=True):
            times = stored.get(contact, [])
            texts_in.append(replace(text, times=len(times), left=min(times) - epoch_offset if times else None))
        return replace(facts, texts_in=texts_in)

    async def _settled(self, contacts: Sequence[str]) -> dict[str, list[float]]:
        """Return the stored texts of these contacts once all are there; a gateway keeps webhooks while control is unavailable."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            stored = await asyncio.to_thread(self._stored)
            if stored.keys() >= set(contacts) or time.monotonic() > until:
                return stored
            await asyncio.sleep(LOOK_SECONDS)

    async def _order(self, order: str, reply: str) -> str:
        assert self.outside.stdin is not None and self.outside.stdout is not None
        self.outside.stdin.write(f"{order}\n".encode())
        line = (await self.outside.stdout.readline()).decode()
        assert line.startswith(reply), (self.home / "outside.log").read_text()[-2000:]
        return line

    def _stored(self) -> dict[str, list[float]]:
        """Return the times at which inbound texts were stored, in seconds since 1970, by contact."""
        sql = "SELECT contact_e164, extract(epoch FROM m.created_at) FROM messages m WHERE direction = 'inbound'"
        stored = dict[str, list[float]]()
        for line in self.database.sql(sql, database="hum").splitlines():
            contact, at = line.split("|")
            stored.setdefault(contact, []).append(float(at))
        return stored


@asynccontextmanager
async def machines(home: Path, load: Mapping[str, Any]) -> AsyncIterator[Machines]:
    """Run all machines with their programs; the load (`outside.Plan`, without addresses and key) waits for its order."""
    with Network(*NODES, DATABASE, OUTSIDE) as network:
        database = Postgres(network, DATABASE, home)
        await asyncio.to_thread(database.create)
        await asyncio.to_thread(database.start, {"max_connections": "400"})
        roles = [f"CREATE ROLE {role} NOLOGIN" for role in ("hum_owner", "hum_app", "hum_system")]
        await asyncio.to_thread(database.sql, *roles, "CREATE DATABASE hum OWNER hum_owner")
        prepare = [sys.executable, "-m", "bench.whole.prepare", url(database)]
        prepared = await asyncio.to_thread(network.run, DATABASE, prepare, capture_output=True, text=True, cwd=ROOT)
        bus, front = f"{network.address(DATABASE)}:4222", f"{network.address(OUTSIDE)}:8080"
        nats = [str(Path(sysconfig.get_path("scripts")) / "nats-server"), "-a", network.address(DATABASE), "-p", "4222"]
        network.start(DATABASE, nats, stderr=subprocess.DEVNULL)
        _start_proxy(network, home, front)
        address = network.address(OUTSIDE)
        plan = {**load, "address": address, "front": f"http://{front}", "key": prepared.stdout.strip()}
        with (home / "outside.log").open("w") as log:
            outside = await asyncio.create_subprocess_exec(
                *network.command(OUTSIDE, [sys.executable, "-m", "bench.whole.outside", json.dumps(plan)]),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, limit=1 << 26,
            )  # fmt: skip
        try:
            assert outside.stdout is not None
            assert await outside.stdout.readline() == b"ready\n", (home / "outside.log").read_text()[-2000:]
            common = {
                "PATH": os.environ["PATH"],
                **make_keys(),
                **SETTINGS,
                "HUM_DATABASE_URL": url(database),
                "HUM_BUS_URL": f"nats://{bus}",
                "HUM_PUBLIC_URL": f"http://{front}",
                "HUM_TRUSTED_PROXIES": address,
                # No stand-in runs there, since the load never signs in.
                "HUM_OIDC_ISSUER": f"http://{address}:1",
                "HUM_OIDC_CLIENT_ID": "hum",
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_API_BASE_URL": f"http://{address}:{CARRIER_PORT}",
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": f"http://{address}:{MODEL_PORT}/v1",
            }
            nodes = Machines(network, home, database, common, outside, front)
            await asyncio.gather(*(nodes.start(node) for node in NODES))
            yield nodes
        finally:
            if outside.returncode is None:
                outside.kill()
                await outside.wait()


def _start_proxy(network: Network, home: Path, front: str) -> None:
    servers = "\n".join(f"    server {node} {network.address(node)}:8080" for node in NODES)
    file = home / "haproxy.cfg"
    file.write_text(HAPROXY.format(front=front, servers=servers))
    with (home / "haproxy.log").open("w") as log:
        network.start(OUTSIDE, [str(_haproxy()), "-f", str(file)], stdout=log, stderr=log)


__all__ = ["NODES", "NUMBER", "Machines", "machines", "missing"]
