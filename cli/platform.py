"""The whole platform on one machine: its programs, their sockets, and stand-ins for outside systems that are not set.

With nothing set: PostgreSQL from a wheel, and the sandbox as carrier, model and sign-in provider.  A system that is set
is used as it is, without a stand-in.

Sockets are opened here and inherited by the programs, so that a plane's successor accepts beside it.  Programs that an
earlier `hum up` left running are taken over: stand-ins and the database as they are, planes by successors, beside which
they drain.
"""

import asyncio
import importlib.util
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hum.network import INHERITED, SocketAddress, parse_listen
from hum.process import home, hugepages, production
from hum.process.homelock import UP, Lock
from hum.process.processes import ProcessSpec
from hum.process.programs import GOODBYE_SECONDS, Program, Programs, StartFailed
from hum.process.sockets import bind_socket, free_port, is_free, listening_socket
from hum.process.workers import has_orphans
from hum.refusal import STATUS, refuse
from hum.settings import UpSettings
from hum.settings import environment as own_environment

#: The numbers that the stand-in carrier holds by default.
SANDBOX_NUMBERS = ("+13175550100", "+13175550101", "+13175550102")
#: What was bought there, over restarts.
CARRIER_NUMBERS = "carrier-numbers.json"
LISTENS = {
    "control": "HUM_CONTROL_LISTEN",
    "gateway": "HUM_GATEWAY_LISTEN",
    "media": "HUM_MEDIA_LISTEN",
    "voice": "HUM_VOICE_LISTEN",
}
PLANES = ("control", "worker", "voice", "media", "browser", "gateway")
#: The library for calls from browsers; without it (extra `browser`) no process for them is started.
BROWSER_LIBRARY = "aiortc"
#: Of the extra `speech`: without it, people in the stand-in for the carrier hum.
SPEECH_LIBRARY = "py_nanotts"
#: Two, so that one takes calls while the other is restarted.
MEDIA_WORKERS = "2"
PROGRAMS = "programs.json"
#: The order of the shutdown, highest first: draining calls need the carrier's webhooks and control; stand-ins end last.
STOP_ORDER = {"media": 3, "browser": 3, "gateway": 2, "worker": 2, "voice": 2, "control": 1}
#: The stand-ins that production refuses, and the settings of which one must be set instead.
STAND_INS = (
    ("an embedded database", "HUM_DATABASE_URL"),
    ("a stand-in for the carrier", "TWILIO_ACCOUNT_SID", "TWILIO_API_BASE_URL"),
    ("a stand-in for the model", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
)

#: Settings that require another one: the first, the second, and the reason.
TOGETHER = (
    ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "the carrier's webhooks are signed with the token"),
    ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID", "the token is an account's"),
)


def print_message(sentence: str) -> None:
    """Print a message for the operator; ignore a closed terminal."""
    with suppress(OSError):
        sys.stderr.write(f"hum: {sentence}\n")
        sys.stderr.flush()


@dataclass
class Platform:
    """The platform, with its start and stop; `where` has the addresses."""

    settings: UpSettings
    numbers: tuple[str, ...] = SANDBOX_NUMBERS
    script: Path | None = None
    planes: tuple[str, ...] = PLANES
    environment: dict[str, str] = field(default_factory=own_environment)
    where: dict[str, Any] = field(default_factory=dict)
    #: The operator's socket of each plane.
    metrics: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.programs = Programs(print_message, self._changed)
        self._lock = Lock(self.settings.home, UP)
        self._sockets: dict[str, socket.socket] = {}
        self._secrets: dict[str, str] = {}

    def require_settings(self) -> None:
        """Exit with a message if the platform can't run with these settings."""
        production.require(self.settings)
        for variable, required, reason in TOGETHER:
            if self.settings.is_set(variable) and not self.settings.is_set(required):
                refuse(f"{variable} is set and {required} is not; set both, or neither: {reason}")
        for part, *variables in STAND_INS:
            if self.settings.production and not any(map(self.settings.is_set, variables)):
                refuse(f"{variables[0]} is not set; set it, because production does not run on {part}")

    async def start(self, *, replace: bool = False) -> None:
        """Start everything, or take over running programs; with `replace`, also from a living `hum up`.

        Raises AlreadyRunning, StartFailed.
        """
        await self._lock.acquire(replace=replace)
        recorded = home.read_facts(self.settings.home, PROGRAMS)
        self.programs.adopt(recorded.get("programs", []))
        self.environment["HUM_HOME"] = str(self.settings.home.resolve())
        self._choose_sockets(recorded.get("sockets", {}) if self.programs.adopted else {})
        self._lock.describe(self.where["public_url"])
        home.node_key(self.settings)
        home.secret_keys(self.settings)
        await self._start_outside()
        await self._start_planes()
        await self.programs.end_orphans()
        running = {
            program.process.pid: program.command.arguments[1] for program in self.programs.all if program.process
        }
        try:
            home.write_run(self.settings.home, {**self.where, "programs": running})
        # As in `_changed`.
        except OSError as error:
            print_message(
                f"could not write {home.RUN}, so `hum call` and other commands do not find this: {error.strerror}"
            )

    async def stop(self, end_now: asyncio.Event | None = None) -> None:
        """Stop everything; calls may go on for HUM_DRAIN_SECONDS, or until `end_now` is set."""
        if not self._lock.is_acquired:
            return
        await self.programs.stop(end_now)
        for file in (home.RUN, PROGRAMS):
            (self.settings.home / file).unlink(missing_ok=True)
        self._release()

    async def hand_over(self) -> None:
        """Hand all running programs over to the next `hum up`."""
        await self.programs.hand_over()
        self._release()

    def _release(self) -> None:
        for plane_socket in self._sockets.values():
            plane_socket.close()
        self._lock.release()

    def _changed(self) -> None:
        """Record the running programs, for a later `hum up`."""
        sockets = {plane: self.environment[variable] for plane, variable in self._listens().items()}
        try:
            home.write_facts(self.settings.home, PROGRAMS, {"sockets": sockets, "programs": self.programs.running()})
        # A full disk must not keep programs from being restarted and stopped.
        except OSError as error:
            print_message(f"could not write {PROGRAMS}, which is out of date: {error.strerror}")

    # -- sockets

    def _choose_sockets(self, earlier_sockets: Mapping[str, str]) -> None:
        """Open the planes' sockets, on free ports for port 0, and derive the URLs from them unless they are set.

        `before` has the sockets of the programs that are taken over, which still have them open.
        """
        chosen = {}
        for plane, variable in self._listens().items():
            listen = parse_listen(getattr(self.settings, f"{plane}_listen"))
            if listen.host == INHERITED:
                self._sockets[plane] = listening_socket(str(listen), variable)
                host, port = self._sockets[plane].getsockname()[:2]
                chosen[plane] = str(SocketAddress(host, port))
            else:
                chosen[plane] = str(self._open(plane, listen, earlier_sockets.get(plane, "")))
            self.environment[variable] = chosen[plane]
        self._default("HUM_MEDIA_WORKERS", MEDIA_WORKERS)
        metrics = parse_listen(self.settings.metrics_listen)
        sockets = {"media": int(self.environment["HUM_MEDIA_WORKERS"]), "gateway": self.settings.gateway_workers}
        port_offset = 0
        without = set() if importlib.util.find_spec(BROWSER_LIBRARY) is not None else {"browser"}
        without |= LISTENS.keys() - self._listens().keys()
        for plane in (candidate for candidate in self.planes if candidate not in without):
            listen, count = metrics.plus(port_offset), sockets.get(plane, 1)  # workers count up
            self.metrics[plane] = str(listen._replace(port=listen.port or free_port(listen.host, count)))
            port_offset += count
        self._default("HUM_CONTROL_ADDRESS", chosen["control"])
        self._default("HUM_PUBLIC_URL", f"http://{chosen['gateway']}")
        self._default("HUM_MEDIA_URL", f"ws://{chosen['media']}")
        if "voice" in chosen:
            self._default("HUM_VOICE_URL", f"http://{chosen['voice']}")
            self.where["voice_url"] = self.environment["HUM_VOICE_URL"]
        self.where |= {
            "gateway_url": f"http://{chosen['gateway']}",
            "public_url": self.environment["HUM_PUBLIC_URL"],
            "media_url": self.environment["HUM_MEDIA_URL"],
            "media_listen": chosen["media"],
            "control_address": self.environment["HUM_CONTROL_ADDRESS"],
            "metrics_urls": {plane: f"http://{listen}/metrics" for plane, listen in self.metrics.items()},
        }

    def _listens(self) -> Mapping[str, str]:
        """Return the variable of each plane's socket; there is no `hum voice` without cascades."""
        has_voice = self.settings.cascades_file is not None
        return {plane: variable for plane, variable in LISTENS.items() if plane != "voice" or has_voice}

    def _open(self, plane: str, listen: SocketAddress, earlier_text: str) -> SocketAddress:
        """Bind a plane's socket.

        The plane itself listens, as connections that are queued before it accepts would wait.

        Raises StartFailed.
        """
        earlier = parse_listen(earlier_text) if earlier_text else None
        if listen.port == 0:
            keeps = earlier is not None and earlier.host == listen.host
            listen = earlier if earlier is not None and keeps else listen._replace(port=free_port(listen.host))
        is_ours = listen == earlier or has_orphans(self.settings.home, plane, listen.port)
        if not is_ours and not is_free(listen):
            raise StartFailed(
                f"{listen} ({LISTENS[plane]}) is taken by another program; stop it, or set another socket", STATUS
            )
        try:
            self._sockets[plane] = bind_socket(listen, shared=True)
        except OSError as error:
            raise StartFailed(f"can't listen on {listen} ({LISTENS[plane]}): {error.strerror}", STATUS) from error
        return listen

    def _default(self, variable: str, value: str) -> None:
        if not self.environment.get(variable):
            self.environment[variable] = value

    # -- outside systems

    async def _start_outside(self) -> None:
        stand_ins = []
        self._secrets = home.stand_in_secrets(self.settings.home)
        if not self.settings.is_set("HUM_DATABASE_URL"):
            stand_ins.append(self._stand_in("postgres", "storage", "postgres"))
        if not (self.settings.is_set("TWILIO_ACCOUNT_SID") or self.settings.is_set("TWILIO_API_BASE_URL")):
            stand_ins.append(self._carrier())
        if not (self.settings.is_set("OPENAI_API_KEY") or self.settings.is_set("OPENAI_BASE_URL")):
            stand_ins.append(self._model())
        if not self.settings.is_set("HUM_OIDC_ISSUER") and not self.settings.production:
            stand_ins.append(self._sign_in())
        await self.programs.start(*stand_ins)
        for program in stand_ins:
            self._publish_address(program)

    def _carrier(self) -> Program:
        self._share_secrets("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        numbers = [part for number in self.numbers for part in ("--number", number)]
        account = ("--account-sid", self._secrets["TWILIO_ACCOUNT_SID"])
        kept = ("--keep", str(self.settings.home / CARRIER_NUMBERS))
        people = (
            "--person",
            "*=polite",
            *(["--speech"] if importlib.util.find_spec(SPEECH_LIBRARY) is not None else []),
        )
        return self._stand_in(
            "carrier", "sandbox.twilio", *self._listen_arguments("carrier"), *account, *numbers, *kept, *people
        )

    def _model(self) -> Program:
        self._share_secrets("OPENAI_API_KEY")
        script = ("--script", str(self.script)) if self.script else ()
        return self._stand_in("model", "sandbox.openai", *self._listen_arguments("model"), *script)

    def _sign_in(self) -> Program:
        self._share_secrets("HUM_OIDC_CLIENT_SECRET")
        self.environment["HUM_OIDC_CLIENT_ID"] = "hum"
        back = ("--redirect-uri", f"{self.environment['HUM_PUBLIC_URL'].rstrip('/')}/auth/callback")
        return self._stand_in(
            "signin", "sandbox.signin", *self._listen_arguments("signin"), "--client-id", "hum", *back
        )

    def _share_secrets(self, *variables: str) -> None:
        """Pass a stand-in's secrets to it and to the planes through the environment: any user can read arguments."""
        self.environment |= {variable: self._secrets[variable] for variable in variables}

    def _listen_arguments(self, name: str) -> tuple[str, str]:
        """Return arguments with a fixed port of this home: planes and people's sign-ins depend on a stand-in's URL."""
        earlier = self.programs.announcement(name).get("url")
        port = urlsplit(earlier).port if earlier else home.stand_in_port(self.settings.home, name)
        return "--listen", f"127.0.0.1:{port}"

    def _publish_address(self, program: Program) -> None:
        """Publish a stand-in's address to the planes and to run.json."""
        variable = {
            "postgres": "HUM_DATABASE_URL",
            "carrier": "TWILIO_API_BASE_URL",
            "model": "OPENAI_BASE_URL",
            "signin": "HUM_OIDC_ISSUER",
        }
        assert program.process is not None
        url = program.process.announcement["url"]
        self.environment[variable[program.name]] = url
        if program.name == "postgres":
            self.where["database_url"] = url
            return
        self.where[f"{program.name}_url"] = url
        if program.name == "carrier":
            self.where |= {
                "numbers": list(self.numbers),
                "twilio_account_sid": self.environment["TWILIO_ACCOUNT_SID"],
                "twilio_auth_token": self.environment["TWILIO_AUTH_TOKEN"],
            }

    # -- the planes

    async def _start_planes(self) -> None:
        self.environment["HUM_CONTROL_SHARED"] = "1"
        await self.programs.start(self._plane("control", "control.app", "control"))
        media = [self._plane("media", "media.app")]
        if "browser" in self.metrics:
            media.append(self._plane("browser", "media.app", "--browser"))
        for program in media:
            program.stop_seconds = self.settings.drain_seconds + GOODBYE_SECONDS
        voice = [self._plane("voice", "voice.app")] if "voice" in self._listens() else []
        await self.programs.start(
            self._plane("worker", "control.app", "worker"), self._plane("gateway", "gateway.app"), *voice, *media
        )

    def _plane(self, name: str, *arguments: str) -> Program:
        listener = self._sockets[name] if name in {"gateway", "media", "voice"} else None
        command = self._command(name, arguments, listener=listener, listens=LISTENS.get(name, ""))
        return Program(name, command, stop_order=STOP_ORDER[name])

    def _stand_in(self, name: str, *arguments: str) -> Program:
        return Program(name, self._command(name, arguments, supervised=False))

    def _command(self, name: str, arguments: tuple[str, ...], **options: Any) -> ProcessSpec:
        log = self.settings.home / "log" / f"{name}.log"
        environment = dict(self.environment)
        if name in ("media", "browser"):
            environment = hugepages.preferred_environment(environment)  # spares an exec
        if name in self.metrics:
            environment["HUM_METRICS_LISTEN"] = self.metrics[name]
        return ProcessSpec(("-m", *arguments), environment, log, **options)
