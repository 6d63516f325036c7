"""HUM_HOME: the directory for a machine's own keys, embedded database, recordings, spools and `run.json`."""

import json
import os
from pathlib import Path
from typing import Any

from hum import private, production
from hum.settings import Common, ControlSettings


def private_text(path: Path, make: str) -> str:
    """The text of a file that only its owner may read; created with `make` if missing.  Safe to call concurrently."""
    private.create_home(path.parent)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private.FILE)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(make + "\n")
    return make


def node_key(settings: Common) -> bytes:
    """The key with which planes sign their node identities.  Required in production; else generated under home."""
    if settings.production and (complaint := production.bad_node_key(settings.node_key)) is not None:
        raise SystemExit(f"hum: {complaint}")
    if settings.node_key:
        return settings.node_key.encode()
    return private_text(settings.home / "node.key", production.make_keys()["HUM_NODE_KEY"]).encode()


def secret_keys(settings: ControlSettings) -> str:
    """The sealing keys, as `HUM_SECRET_KEYS`."""
    if settings.secret_keys:
        return settings.secret_keys
    return private_text(settings.home / "secret.keys", production.make_keys()["HUM_SECRET_KEYS"])


def write_run(home: Path, facts: dict[str, Any]) -> None:
    """Write `run.json` atomically."""
    private.create_home(home)
    draft = home / "run.json.new"
    with private.writer(draft) as file:
        file.write(json.dumps(facts, indent=2) + "\n")
    draft.replace(home / "run.json")


def read_run(home: Path) -> dict[str, Any]:
    """The contents of `run.json`, or an empty dict when nothing is running."""
    try:
        facts: dict[str, Any] = json.loads((home / "run.json").read_text())
    except FileNotFoundError:
        return {}
    return facts
