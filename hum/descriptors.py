"""The limit on open files and sockets of this process."""

import resource
from pathlib import Path

ENOUGH = 65_536
#: A call's: the carrier's socket, the model's, the recording.
PER_CALL = 3
#: A media process's: for the link, the spool, logs, the operator's connections, and model sockets that are being replaced.
SPARE = 32
#: A gateway's, besides its connections: channels, logs, listeners.
OF_A_GATEWAY = 64


def raise_limit() -> int:
    """Raise the soft limit to the hard one, at most to `ENOUGH`; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ENOUGH if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def free() -> int:
    """How many more this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = ENOUGH if soft == resource.RLIM_INFINITY else soft
    return max(0, limit - sum(1 for _ in Path("/dev/fd").iterdir()))
