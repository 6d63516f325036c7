"""File descriptors: how many this process may have open, and how many it has."""

import os
import resource
from contextlib import suppress

#: Enough for ten thousand calls; some systems allow a billion, and programs that close "all" descriptors would then take minutes.
MOST = 1 << 16


def raise_limit() -> None:
    """Use what the system allows: the soft limit is often 1,024, and the hard one far above."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def free() -> int:
    """How many more this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, (MOST if soft == resource.RLIM_INFINITY else soft) - len(os.listdir("/dev/fd")))  # noqa: PTH208
