"""The whole platform on one machine: which programs it runs, where they listen, and stand-ins for what is not set.

With nothing set: PostgreSQL from a wheel, and the sandbox as carrier, model and sign-in provider. What is set is used
as it is, and no stand-in is started for it.
"""

import asyncio
import random
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from grpc import aio
from grpc_health.v1 import health_pb2

from hum import home, production
from hum.cli.processes import Program, Programs, stop_leftovers
from hum.network import parse_listen
from hum.settings import UpSettings
from hum.settings import environment as own_environment

#: The numbers that the stand-in carrier holds by default.
SANDBOX_NUMBERS = ("+13175550100", "+13175550101", "+13175550102")
STOP_SECONDS = 15.0
PLANES = ("control", "worker", "media", "gateway")  # the last one's workers count their operator's sockets up
LISTENING_PORTS = range(20_000, 32_768)


@dataclass
class Platform:
    """Starts and stops everything; `where` holds the addresses."""

    settings: UpSettings
    numbers: tuple[str, ...] = SANDBOX_NUMBERS
    script: Path | None = None
    programs: Programs = field(default_factory=Programs)
    environment: dict[str, str] = field(default_factory=own_environment)
    where: dict[str, Any] = field(default_factory=dict)
    #: The operator's socket of each plane.
    metrics: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        """Start everything; raises DidNotStart."""
        before = home.read_run(self.settings.home)
        stop_leftovers(before.get("programs", {}))
        production.require(self.settings)
        self.environment["HUM_HOME"] = str(self.settings.home.resolve())
        self._choose_sockets()
        home.node_key(self.settings)
        home.secret_keys(self.settings)
        await self._start_outside()
        await self._start_planes()
        programs = {each.process.pid: each.arguments[1] for each in self.programs.all if each.process}
        home.write_run(self.settings.home, {**self.where, "programs": programs})

    async def stop(self) -> None:
        await self.programs.stop(STOP_SECONDS)
        with suppress(FileNotFoundError):
            (self.settings.home / "run.json").unlink()

    def _choose_sockets(self) -> None:
        """Replace port 0 with a free port, and derive the URLs from the sockets unless they are set."""
        listens = {"control": "HUM_CONTROL_LISTEN", "gateway": "HUM_GATEWAY_LISTEN", "media": "HUM_MEDIA_LISTEN"}
        chosen = {}
        for plane, variable in listens.items():
            host, port = parse_listen(getattr(self.settings, f"{plane}_listen"))
            chosen[plane] = f"{host}:{port or free_port(host)}"
            self.environment[variable] = chosen[plane]
        metrics = parse_listen(self.settings.metrics_listen)
        for count, plane in enumerate(PLANES):
            listen = metrics.plus(count)
            self.metrics[plane] = str(listen._replace(port=listen.port or free_port(listen.host)))
        self._default("HUM_CONTROL_ADDRESS", chosen["control"])
        self._default("HUM_PUBLIC_URL", f"http://{chosen['gateway']}")
        self._default("HUM_MEDIA_URL", f"ws://{chosen['media']}")
        self.where |= {
            "gateway_url": f"http://{chosen['gateway']}",
            "public_url": self.environment["HUM_PUBLIC_URL"],
            "media_url": self.environment["HUM_MEDIA_URL"],
            "media_listen": chosen["media"],
            "control_address": self.environment["HUM_CONTROL_ADDRESS"],
            "metrics_urls": {plane: f"http://{listen}/metrics" for plane, listen in self.metrics.items()},
        }

    def _default(self, variable: str, value: str) -> None:
        if not self.environment.get(variable):
            self.environment[variable] = value

    # -- the systems outside the planes

    async def _start_outside(self) -> None:
        needed = []
        if not self.settings.is_set("HUM_DATABASE_URL"):
            self._refuse_in_production("HUM_DATABASE_URL", "the embedded database")
            needed.append(self._program("postgres", "storage", "postgres"))
        if not (self.settings.is_set("TWILIO_ACCOUNT_SID") or self.settings.is_set("TWILIO_API_BASE_URL")):
            self._refuse_in_production("TWILIO_ACCOUNT_SID", "a stand-in for the carrier")
            needed.append(self._carrier())
        if not (self.settings.is_set("OPENAI_API_KEY") or self.settings.is_set("OPENAI_BASE_URL")):
            self._refuse_in_production("OPENAI_API_KEY", "a stand-in for the model")
            needed.append(self._model())
        if not self.settings.is_set("HUM_OIDC_ISSUER") and not self.settings.production:
            needed.append(self._sign_in())
        await self.programs.start(*needed)
        for program in needed:
            self._note(program)

    def _refuse_in_production(self, variable: str, part: str) -> None:
        if self.settings.production:
            raise SystemExit(f"hum: {variable} is not set; set it, because production does not run on {part}")

    def _carrier(self) -> Program:
        account, token = "AC" + secrets.token_hex(16), secrets.token_hex(16)
        self.environment |= {"TWILIO_ACCOUNT_SID": account, "TWILIO_AUTH_TOKEN": token}
        numbers = [part for number in self.numbers for part in ("--number", number)]
        identity = ("--account-sid", account, "--auth-token", token)
        return self._program("carrier", "sandbox.twilio", "--listen", "127.0.0.1:0", *identity, *numbers)

    def _model(self) -> Program:
        key = "sk-sandbox-" + secrets.token_hex(16)
        self.environment["OPENAI_API_KEY"] = key
        script = ("--script", str(self.script)) if self.script else ()
        return self._program("model", "sandbox.openai", "--listen", "127.0.0.1:0", "--api-key", key, *script)

    def _sign_in(self) -> Program:
        secret = secrets.token_hex(16)
        self.environment |= {"HUM_OIDC_CLIENT_ID": "hum", "HUM_OIDC_CLIENT_SECRET": secret}
        back = ("--redirect-uri", f"{self.environment['HUM_PUBLIC_URL'].rstrip('/')}/auth/callback")
        identity = ("--client-id", "hum", "--client-secret", secret)
        return self._program("signin", "sandbox.signin", "--listen", "127.0.0.1:0", *identity, *back)

    def _note(self, program: Program) -> None:
        """Pass a stand-in's address on to the planes and to run.json."""
        variable = {
            "postgres": "HUM_DATABASE_URL",
            "carrier": "TWILIO_API_BASE_URL",
            "model": "OPENAI_BASE_URL",
            "signin": "HUM_OIDC_ISSUER",
        }
        self.environment[variable[program.name]] = program.announced["url"]
        if program.name == "postgres":
            self.where["database_url"] = program.announced["url"]
            return
        self.where[f"{program.name}_url"] = program.announced["url"]
        if program.name == "carrier":
            self.where |= {
                "numbers": list(self.numbers),
                "twilio_account_sid": self.environment["TWILIO_ACCOUNT_SID"],
                "twilio_auth_token": self.environment["TWILIO_AUTH_TOKEN"],
            }

    # -- the planes

    async def _start_planes(self) -> None:
        address, gateway = self.where["control_address"], self.where["gateway_url"]
        media, worker = f"http://{self.where['media_listen']}", f"http://{self.metrics['worker']}"
        await self.programs.start(
            self._program("control", "control.app", "control", ready=lambda: grpc_serves(address))
        )
        await self.programs.start(
            self._program("worker", "control.app", "worker", ready=lambda: answers(f"{worker}/healthz")),
            self._program("gateway", "gateway.app", ready=lambda: answers(f"{gateway}/readyz")),
            self._program("media", "media.app", ready=lambda: answers(f"{media}/readyz")),
        )

    def _program(self, name: str, module: str, *arguments: str, ready: Any = None) -> Program:
        log = self.settings.home / "log" / f"{name}.log"
        environment = dict(self.environment)
        if name in self.metrics:
            environment["HUM_METRICS_LISTEN"] = self.metrics[name]
        return Program(name, ("-m", module, *arguments), environment, log, ready)


async def answers(url: str) -> bool:
    """Whether a GET returns 200."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def grpc_serves(address: str) -> bool:
    """Whether a gRPC server reports that it is serving."""
    async with aio.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=2)
        except (aio.AioRpcError, asyncio.CancelledError):
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def free_port(host: str) -> int:
    """A free port below the ephemeral range, so that no outgoing connection takes it in the meantime.

    (Linux assigns ephemeral ports from 32768 on, `net.ipv4.ip_local_port_range`; other systems from higher ones.)
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in random.sample(LISTENING_PORTS, 200):
        with socket.socket(family) as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise SystemExit(f"hum: no free port on {host} between {LISTENING_PORTS.start} and {LISTENING_PORTS.stop - 1}")
