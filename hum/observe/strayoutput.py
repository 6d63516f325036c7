"""`python -m hum.observe.strayoutput PLANE`: wraps a program's stray standard error in JSON log lines.

gRPC's core, faulthandler and a crashing interpreter write to it, past every handler in the program.  The wrapper is a
separate process, so that it also gets the last lines of a program that crashes, which matter most.
"""

import json
import os
import re
import signal
import sys
from contextlib import suppress

from hum.clock import now

MAX_BYTES = 64 << 10
REFUSED = "hum: "  # prefix of hum/refusal.py's messages
#: Prefix of gRPC core's lines: a letter for the level, month and day, time, thread.
_CORE = re.compile(r"([IWEF])\d{4} \d\d:\d\d:[\d.]+\s+\d+ ")
_LEVELS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}


def as_json(line: str, plane: str, at: str) -> str:
    """Return the line as a JSON object of the log; a line that is one already stays as it is."""
    if line.startswith("{"):
        with suppress(ValueError):
            json.loads(line)
            return line
    core = _CORE.match(line)
    level = _LEVELS[core[1]] if core else "error"
    return json.dumps({"plane": plane, "level": level, "at": at, "message": line.removeprefix(REFUSED)})


def main() -> None:
    plane = sys.argv[1]
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends with its input
        signal.signal(number, signal.SIG_IGN)
    for line in iter(lambda: sys.stdin.buffer.readline(MAX_BYTES), b""):
        if text := line.decode(errors="replace").rstrip():
            with suppress(OSError):  # a full disk loses lines only
                os.write(sys.stdout.fileno(), (as_json(text, plane, now().isoformat()) + "\n").encode())


if __name__ == "__main__":
    main()
