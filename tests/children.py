"""The processes that a program has started, but for the one that writes its standard error (hum/lines.py)."""

from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for each in found if not _writes_lines(each)]


def _writes_lines(pid: int) -> bool:
    with suppress(OSError):
        return b"hum.lines" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
