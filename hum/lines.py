"""`python -m hum.lines PLANE`: makes lines of JSON of what a program writes to its standard error past its log.

gRPC's core, faulthandler and a crashing interpreter write there, and no handler in the program sees it.  This is a process of
its own because the last words of a program that crashes are those that count.
"""

import json
import os
import re
import signal
import sys
from contextlib import suppress

from hum.clock import now

MAX_BYTES = 64 << 10
REFUSED = "hum: "  # how hum/refusal.py begins
#: How gRPC's core begins: a letter for the level, month and day, the time, a thread.
_CORE = re.compile(r"([IWEF])\d{4} \d\d:\d\d:[\d.]+\s+\d+ ")
_LEVELS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}


def as_json(line: str, plane: str, at: str) -> str:
    """The line as an object of the log; one that is an object already stays as it is."""
    if line.startswith("{"):
        with suppress(ValueError):
            json.loads(line)
            return line
    core = _CORE.match(line)
    level = _LEVELS[core[1]] if core else "error"
    return json.dumps({"plane": plane, "level": level, "at": at, "message": line.removeprefix(REFUSED)})


def main() -> None:
    plane = sys.argv[1]
    for each in (signal.SIGINT, signal.SIGTERM):  # it ends with whoever writes to it
        signal.signal(each, signal.SIG_IGN)
    for line in iter(lambda: sys.stdin.buffer.readline(MAX_BYTES), b""):
        if text := line.decode(errors="replace").rstrip():
            with suppress(OSError):  # a full disk costs lines, and nothing else
                os.write(sys.stdout.fileno(), (as_json(text, plane, now().isoformat()) + "\n").encode())


if __name__ == "__main__":
    main()
