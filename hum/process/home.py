"""HUM_HOME: the directory for a machine's own keys, embedded database, recordings, spools and `run.json`."""

import errno
import json
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from hum.network import SocketAddress
from hum.process import private, production, sockets
from hum.refusal import refuse
from hum.settings import Common, ControlSettings
from hum.settings.base import STAND_IN_KEY, listed

RUN = "run.json"
STAND_IN_PORTS = "sandbox.ports"


def require(home: Path) -> None:
    """Create HUM_HOME if it is missing; end the process with a message if it is not writable."""
    try:
        private.create_home(home)
        reason = "" if os.access(home, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    except (FileExistsError, NotADirectoryError):
        reason = "it is no directory"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        refuse(f"nothing can be written to {home} (HUM_HOME): {reason}; set HUM_HOME to a directory of your own")


def private_text(path: Path, make: str) -> str:
    """Return the text of a file that only its owner may read; create it with the text `make` if it is missing.

    Safe to call concurrently.
    """
    private.create_home(path.parent)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with private.writer(draft) as file:
                file.write(make + "\n")
            # Linked once complete, so that no other process reads half of it, or what a full disk left.
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text().strip()


def node_key(settings: Common) -> bytes:
    """Return the key with which this process signs its node identity."""
    return node_keys(settings)[0]


def node_keys(settings: Common) -> tuple[bytes, ...]:
    """Return the keys of node identities, newest first.

    Production requires HUM_NODE_KEY; in development a missing key is generated below home.
    """
    if settings.production and (problem := production.bad_node_key(settings.node_key)) is not None:
        refuse(problem)
    if keys := listed(settings.node_key):
        return tuple(key.encode() for key in keys)
    return (private_text(settings.home / "node.key", production.make_keys()["HUM_NODE_KEY"]).encode(),)


def secret_keys(settings: ControlSettings) -> str:
    """Return the sealing keys in the format of HUM_SECRET_KEYS; generate them below home if they are not set."""
    if settings.secret_keys:
        return settings.secret_keys
    return private_text(settings.home / "secret.keys", production.make_keys()["HUM_SECRET_KEYS"])


def stand_in_port(home: Path, name: str) -> int:
    """Return a stand-in's port on 127.0.0.1: its earlier one in this home, unless another program uses that now."""
    ports: dict[str, int] = read_facts(home, STAND_IN_PORTS)
    port = ports.get(name, 0)
    if not port or not sockets.is_free(SocketAddress("127.0.0.1", port)):
        port = sockets.free_port("127.0.0.1")
        write_facts(home, STAND_IN_PORTS, ports | {name: port})
    return port


def stand_in_secrets(home: Path) -> dict[str, str]:
    """Return the credentials shared by this home's stand-ins and the planes, by setting; create them if missing."""
    fresh = {
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "OPENAI_API_KEY": STAND_IN_KEY + secrets.token_hex(16),
        "HUM_OIDC_CLIENT_SECRET": secrets.token_hex(16),
    }
    stored: dict[str, str] = json.loads(private_text(home / "sandbox.keys", json.dumps(fresh)))
    return stored


def write_facts(home: Path, name: str, facts: dict[str, Any]) -> None:
    """Write a file of JSON below home atomically; only its owner can read it."""
    private.create_home(home)
    draft = home / f"{name}.new"
    with private.writer(draft) as file:
        file.write(json.dumps(facts, indent=2) + "\n")
    draft.replace(home / name)


def read_facts(home: Path, name: str) -> dict[str, Any]:
    """Return what `write_facts` wrote; an empty dict if there is no file or, with a message, if it is damaged."""
    try:
        facts = json.loads((home / name).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        facts = None
    if isinstance(facts, dict):
        return facts
    sys.stderr.write(f"hum: {home / name} is damaged, and is ignored\n")
    return {}


def write_run(home: Path, facts: dict[str, Any]) -> None:
    """Write the addresses of what is running."""
    write_facts(home, RUN, facts)


def read_run(home: Path) -> dict[str, Any]:
    """Return the addresses of what is running, or an empty dict if nothing is."""
    return read_facts(home, RUN)
