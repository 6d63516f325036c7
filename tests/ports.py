"""Ports of this run's own: another run on this machine may choose the same free one before it is listened on."""

import fcntl
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from hum import sockets

PARTS = 40


def reserve() -> IO[str] | None:
    """Have this process choose from a part of the ports that no other run chooses from for as long as the file is open.

    None, if all parts are taken: then it chooses from all.
    """
    size = len(sockets.LISTENING_PORTS) // PARTS
    for number in range(PARTS):
        with suppress(OSError):
            file = Path(tempfile.gettempdir(), f"hum-test-ports-{number}").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise
            sockets.LISTENING_PORTS = sockets.LISTENING_PORTS[number * size : (number + 1) * size]
            return file
    return None
