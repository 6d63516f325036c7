"""The whole platform on one machine: which programs it runs, where they listen, and stand-ins for what is not set.

With nothing set: PostgreSQL from a wheel, and the sandbox as carrier, model and sign-in provider. What is set is used
as it is, and no stand-in is started for it.

Sockets are opened here and handed on, so that a plane's successor answers beside it. What an earlier `hum up` left running
is taken over: stand-ins and the database as they are, planes by successors, beside which they end their calls.
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

from hum import home, hugepages, production
from hum.cli.lock import Lock
from hum.network import INHERITED, Listen, parse_listen
from hum.processes import Command
from hum.programs import GOODBYE_SECONDS, DidNotStart, Program, Programs
from hum.refusal import STATUS, refuse
from hum.settings import UpSettings
from hum.settings import environment as own_environment
from hum.sockets import bound, free_port, is_free, listening
from hum.workers import has_orphans

#: The numbers that the stand-in carrier holds by default.
SANDBOX_NUMBERS = ("+13175550100", "+13175550101", "+13175550102")
LISTENS = {"control": "HUM_CONTROL_LISTEN", "gateway": "HUM_GATEWAY_LISTEN", "media": "HUM_MEDIA_LISTEN"}
PLANES = ("control", "worker", "media", "browser", "gateway")
#: What calls from browsers need besides: without it, they have no process (extra `browser`).
BROWSER_LIBRARY = "aiortc"
#: While one is restarted, its callers are heard by the other.
MEDIA_WORKERS = "2"
PROGRAMS = "programs.json"
#: Who is asked to leave before whom: while calls end, the carrier's requests and control are there for them; stand-ins go last.
STOP_ORDER = {"media": 3, "browser": 3, "gateway": 2, "worker": 2, "control": 1}
#: What production does not run on, and the settings of which one must be set instead.
STAND_INS = (
    ("an embedded database", "HUM_DATABASE_URL"),
    ("a stand-in for the carrier", "TWILIO_ACCOUNT_SID", "TWILIO_API_BASE_URL"),
    ("a stand-in for the model", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
)

#: Settings that are of use together only: the first, the second, and why.
TOGETHER = (
    ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "the carrier's webhooks are signed with the token"),
    ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID", "the token is an account's"),
)


def say(sentence: str) -> None:
    """Tell the operator, who may have closed the terminal."""
    with suppress(OSError):
        sys.stderr.write(f"hum: {sentence}\n")
        sys.stderr.flush()


@dataclass
class Platform:
    """Starts and stops everything; `where` holds the addresses."""

    settings: UpSettings
    numbers: tuple[str, ...] = SANDBOX_NUMBERS
    script: Path | None = None
    planes: tuple[str, ...] = PLANES
    environment: dict[str, str] = field(default_factory=own_environment)
    where: dict[str, Any] = field(default_factory=dict)
    #: The operator's socket of each plane.
    metrics: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.programs = Programs(say, self._changed)
        self._lock = Lock(self.settings.home)
        self._sockets: dict[str, socket.socket] = {}
        self._secrets: dict[str, str] = {}

    def require_settings(self) -> None:
        """End this process if it does not run on these settings."""
        production.require(self.settings)
        for one, other, reason in TOGETHER:
            if self.settings.is_set(one) and not self.settings.is_set(other):
                refuse(f"{one} is set and {other} is not; set both, or neither: {reason}")
        for part, *variables in STAND_INS:
            if self.settings.production and not any(map(self.settings.is_set, variables)):
                refuse(f"{variables[0]} is not set; set it, because production does not run on {part}")

    async def start(self, *, replace: bool = False) -> None:
        """Start everything, or take over what runs; with `replace`, also from the `hum up` that runs it.

        Raises AlreadyRuns, DidNotStart.
        """
        await self._lock.take(replace=replace)
        before = home.read_facts(self.settings.home, PROGRAMS)
        self.programs.adopt(before.get("programs", []))
        self.environment["HUM_HOME"] = str(self.settings.home.resolve())
        self._choose_sockets(before.get("sockets", {}) if self.programs.adopted else {})
        self._lock.describe(self.where["public_url"])
        home.node_key(self.settings)
        home.secret_keys(self.settings)
        await self._start_outside()
        await self._start_planes()
        await self.programs.end_unclaimed()
        running = {each.process.pid: each.command.arguments[1] for each in self.programs.all if each.process}
        try:
            home.write_run(self.settings.home, {**self.where, "programs": running})
        except OSError as error:  # as in `_changed`
            say(f"{home.RUN} can't be written, so `hum call` and the other commands don't find this: {error.strerror}")

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Stop everything: calls have HUM_DRAIN_SECONDS, or until `hurry` is set."""
        if not self._lock.is_held:
            return
        await self.programs.stop(hurry)
        for file in (home.RUN, PROGRAMS):
            (self.settings.home / file).unlink(missing_ok=True)
        self._let_go()

    async def hand_over(self) -> None:
        """Let go of everything that runs, for the next `hum up`."""
        await self.programs.abandon()
        self._let_go()

    def _let_go(self) -> None:
        for each in self._sockets.values():
            each.close()
        self._lock.release()

    def _changed(self) -> None:
        """Note what runs, for a later `hum up`."""
        sockets = {plane: self.environment[variable] for plane, variable in LISTENS.items()}
        try:
            home.write_facts(self.settings.home, PROGRAMS, {"sockets": sockets, "programs": self.programs.running()})
        except OSError as error:  # a full disk must keep nobody from restarting and stopping what runs
            say(f"{PROGRAMS} is out of date, because it can't be written: {error.strerror}")

    # -- sockets

    def _choose_sockets(self, before: Mapping[str, str]) -> None:
        """Open the planes' sockets, on free ports for port 0, and derive the URLs from them unless they are set.

        `before`: those of the programs that are taken over, which have them open still.
        """
        chosen = {}
        for plane, variable in LISTENS.items():
            listen = parse_listen(getattr(self.settings, f"{plane}_listen"))
            if listen.host == INHERITED:
                self._sockets[plane] = listening(str(listen), variable)
                host, port = self._sockets[plane].getsockname()[:2]
                chosen[plane] = str(Listen(host, port))
            else:
                chosen[plane] = str(self._open(plane, listen, before.get(plane, "")))
            self.environment[variable] = chosen[plane]
        self._default("HUM_MEDIA_WORKERS", MEDIA_WORKERS)
        metrics = parse_listen(self.settings.metrics_listen)
        sockets = {"media": int(self.environment["HUM_MEDIA_WORKERS"]), "gateway": self.settings.gateway_workers}
        before_it = 0
        has_browser = importlib.util.find_spec(BROWSER_LIBRARY) is not None
        for plane in (each for each in self.planes if each != "browser" or has_browser):
            listen, count = metrics.plus(before_it), sockets.get(plane, 1)  # workers count up
            self.metrics[plane] = str(listen._replace(port=listen.port or free_port(listen.host, count)))
            before_it += count
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

    def _open(self, plane: str, listen: Listen, before: str) -> Listen:
        """Bind a plane's socket.  The plane listens itself: what is connected before it accepts would wait.

        Raises DidNotStart.
        """
        earlier = parse_listen(before) if before else None
        if listen.port == 0:
            keeps = earlier is not None and earlier.host == listen.host
            listen = earlier if earlier is not None and keeps else listen._replace(port=free_port(listen.host))
        is_ours = listen == earlier or has_orphans(self.settings.home, plane, listen.port)
        if not is_ours and not is_free(listen):
            raise DidNotStart(
                f"{listen} ({LISTENS[plane]}) is taken by another program; stop it, or set another socket", STATUS
            )
        try:
            self._sockets[plane] = bound(listen, shared=True)
        except OSError as error:
            raise DidNotStart(f"can't listen on {listen} ({LISTENS[plane]}): {error.strerror}", STATUS) from error
        return listen

    def _default(self, variable: str, value: str) -> None:
        if not self.environment.get(variable):
            self.environment[variable] = value

    # -- what stands outside the planes

    async def _start_outside(self) -> None:
        needed = []
        self._secrets = home.stand_in_secrets(self.settings.home)
        if not self.settings.is_set("HUM_DATABASE_URL"):
            needed.append(self._stand_in("postgres", "storage", "postgres"))
        if not (self.settings.is_set("TWILIO_ACCOUNT_SID") or self.settings.is_set("TWILIO_API_BASE_URL")):
            needed.append(self._carrier())
        if not (self.settings.is_set("OPENAI_API_KEY") or self.settings.is_set("OPENAI_BASE_URL")):
            needed.append(self._model())
        if not self.settings.is_set("HUM_OIDC_ISSUER") and not self.settings.production:
            needed.append(self._sign_in())
        await self.programs.start(*needed)
        for program in needed:
            self._note(program)

    def _carrier(self) -> Program:
        self._share("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        numbers = [part for number in self.numbers for part in ("--number", number)]
        account = ("--account-sid", self._secrets["TWILIO_ACCOUNT_SID"])
        return self._stand_in("carrier", "sandbox.twilio", *self._listen_where("carrier"), *account, *numbers)

    def _model(self) -> Program:
        self._share("OPENAI_API_KEY")
        script = ("--script", str(self.script)) if self.script else ()
        return self._stand_in("model", "sandbox.openai", *self._listen_where("model"), *script)

    def _sign_in(self) -> Program:
        self._share("HUM_OIDC_CLIENT_SECRET")
        self.environment["HUM_OIDC_CLIENT_ID"] = "hum"
        back = ("--redirect-uri", f"{self.environment['HUM_PUBLIC_URL'].rstrip('/')}/auth/callback")
        return self._stand_in("signin", "sandbox.signin", *self._listen_where("signin"), "--client-id", "hum", *back)

    def _share(self, *variables: str) -> None:
        """Let a stand-in and the planes know each other, by the environment: everybody can read arguments."""
        self.environment |= {variable: self._secrets[variable] for variable in variables}

    def _listen_where(self, name: str) -> tuple[str, str]:
        """One port for this home: the planes know a stand-in by it, and people who have signed in their provider."""
        earlier = self.programs.announced(name).get("url")
        port = urlsplit(earlier).port if earlier else home.stand_in_port(self.settings.home, name)
        return "--listen", f"127.0.0.1:{port}"

    def _note(self, program: Program) -> None:
        """Pass a stand-in's address on to the planes and to run.json."""
        variable = {
            "postgres": "HUM_DATABASE_URL",
            "carrier": "TWILIO_API_BASE_URL",
            "model": "OPENAI_BASE_URL",
            "signin": "HUM_OIDC_ISSUER",
        }
        assert program.process is not None
        url = program.process.announced["url"]
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
        for each in media:
            each.stop_seconds = self.settings.drain_seconds + GOODBYE_SECONDS
        await self.programs.start(
            self._plane("worker", "control.app", "worker"), self._plane("gateway", "gateway.app"), *media
        )

    def _plane(self, name: str, *arguments: str) -> Program:
        listener = self._sockets[name] if name in {"gateway", "media"} else None
        command = self._command(name, arguments, listener=listener, listens=LISTENS.get(name, ""))
        return Program(name, command, stop_order=STOP_ORDER[name])

    def _stand_in(self, name: str, *arguments: str) -> Program:
        return Program(name, self._command(name, arguments, supervised=False))

    def _command(self, name: str, arguments: tuple[str, ...], **more: Any) -> Command:
        log = self.settings.home / "log" / f"{name}.log"
        environment = dict(self.environment)
        if name in ("media", "browser") and self.settings.media_huge_pages:
            environment = hugepages.preferring(environment)  # it would start twice otherwise
        if name in self.metrics:
            environment["HUM_METRICS_LISTEN"] = self.metrics[name]
        return Command(("-m", *arguments), environment, log, **more)
