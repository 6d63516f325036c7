"""Huge pages for a process's heap.

A process with many calls touches a little of each, all over its heap, so with pages of 4 KB nearly every access misses
the TLB. With pages of 2 MB the media plane uses a tenth less CPU, and a tenth more memory, since a page is allocated as
a whole (docs/decisions/0087-cost-of-a-call.md).  `GLIBC_TUNABLES=glibc.malloc.hugetlb=0` in
the environment turns them off.

glibc asks the kernel for them if a variable is set when the process starts; Python's own allocator never does.
"""

import os
import sys
from pathlib import Path

from hum.settings import environment

TUNABLES = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb=1"  # since 2.35; ignored before
ALLOCATOR = "PYTHONMALLOC"
KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def prefer(kernel: Path = KERNEL) -> None:
    """Exec this program again with huge pages, if the system supports them and the environment lacks them.

    Call it before anything is opened or started.  An operator's own value of either variable is kept.
    """
    current = environment()
    preferred = preferred_environment(current, kernel)
    if preferred != current:
        os.execve(sys.executable, sys.orig_argv, preferred)  # noqa: S606 - ourselves


def preferred_environment(current: dict[str, str], kernel: Path = KERNEL) -> dict[str, str]:
    """Return the environment for a program that prefers huge pages, so that it need not exec itself again."""
    preferred = huge_page_environment(current)
    return preferred if preferred is not None and _is_supported(kernel) else current


def huge_page_environment(current: dict[str, str]) -> dict[str, str] | None:
    """Return the environment that asks for huge pages; None if it does already, or the operator has decided otherwise."""
    tunables = current.get(TUNABLES, "")
    if "glibc.malloc.hugetlb" in tunables or current.get(ALLOCATOR, "malloc") != "malloc":
        return None
    return current | {ALLOCATOR: "malloc", TUNABLES: f"{tunables}:{TUNABLE}" if tunables else TUNABLE}


def _is_supported(kernel: Path) -> bool:
    try:
        return "[madvise]" in kernel.read_text() and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):
        return False
