"""What `hum up` has written into its home: its programs, and the process of its PostgreSQL."""

from pathlib import Path
from typing import Any

from cli.platform import PROGRAMS
from hum.process import home


def programs_in(folder: Path) -> list[dict[str, Any]]:
    """Return the programs that run; of two with one name, the one that serves is the last."""
    found: list[dict[str, Any]] = home.read_facts(folder, PROGRAMS).get("programs", [])
    return sorted(found, key=lambda program: bool(program["serves"]))


def pids_in(folder: Path, name: str) -> list[int]:
    """Return the processes of a program, the one that serves last."""
    return [program["pid"] for program in programs_in(folder) if program["name"] == name]


def postmaster_in(folder: Path) -> int:
    """Return the process of PostgreSQL."""
    return int((folder / "postgres/data/postmaster.pid").read_text().split("\n")[0])
