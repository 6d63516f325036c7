"""Ports of this run's own: another run on this machine may choose the same free one before it is listened on."""

import fcntl
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from hum.process import sockets

PARTS = 40
ALL = sockets.LISTENING_PORTS
#: Locked for as long as this process runs; what a parent has locked stays locked beside it.
_locked: list[IO[str]] = []


def reserve() -> None:
    """Have this process choose from a part of the ports that no other process of a run chooses from; from all, if none is left."""
    size = len(ALL) // PARTS
    sockets.LISTENING_PORTS = ALL
    for number in range(PARTS):
        with suppress(OSError):
            file = Path(tempfile.gettempdir(), f"hum-test-ports-{number}").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise
            sockets.LISTENING_PORTS = ALL[number * size : (number + 1) * size]
            _locked.append(file)
            return
