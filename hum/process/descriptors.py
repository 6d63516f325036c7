"""The limit on open files and sockets of this process."""

import resource
from pathlib import Path

ENOUGH = 65_536
#: For a call: the carrier's socket, the model's, the recording.
PER_CALL = 3
#: For a media process: the link, the spool, logs, the operator's connections, and model sockets during a replacement.
SPARE = 32
#: For a gateway, besides its connections: channels, logs, listeners.
OF_A_GATEWAY = 64


def raise_limit() -> int:
    """Raise the soft limit to the hard one, at most to `ENOUGH`; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return ENOUGH if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def free() -> int:
    """Return how many more descriptors this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = ENOUGH if soft == resource.RLIM_INFINITY else soft
    return max(0, limit - sum(1 for _ in Path("/dev/fd").iterdir()))
