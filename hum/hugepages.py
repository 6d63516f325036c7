"""Huge pages for what a process allocates.

A process with many calls touches a little of each, all over its heap.  With pages of 4 KB nearly every access is a miss of the
processor's table of pages.  With pages of 2 MB the media plane uses a tenth less CPU, and a tenth more memory, since all of a page is
used as soon as any of it is (docs/decisions/0071-what-a-call-costs.md).  HUM_MEDIA_HUGE_PAGES turns them off.

glibc asks the kernel for them if a variable says so when the process starts; Python's own allocator never does.
"""

import os
import sys
from pathlib import Path

from hum.settings import environment

TUNABLES = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb=1"  # since 2.35; an older one ignores it
ALLOCATOR = "PYTHONMALLOC"
KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def prefer(kernel: Path = KERNEL) -> None:
    """Start this program again, as the same process, with huge pages, if it can have them and does not ask for them yet.

    To be called before anything is opened or started.  An operator who has set either variable to something else keeps that.
    """
    own = environment()
    wanted = preferring(own, kernel)
    if wanted != own:
        os.execve(sys.executable, sys.orig_argv, wanted)  # noqa: S606 - ourselves


def preferring(own: dict[str, str], kernel: Path = KERNEL) -> dict[str, str]:
    """The environment for a program that prefers them: whoever starts it with this saves it a second start."""
    wanted = with_huge_pages(own)
    return wanted if wanted is not None and _can_have_them(kernel) else own


def with_huge_pages(own: dict[str, str]) -> dict[str, str] | None:
    """The environment that asks for them; None if it does already, or the operator has decided otherwise."""
    tunables = own.get(TUNABLES, "")
    if "glibc.malloc.hugetlb" in tunables or own.get(ALLOCATOR, "malloc") != "malloc":
        return None
    return own | {ALLOCATOR: "malloc", TUNABLES: f"{tunables}:{TUNABLE}" if tunables else TUNABLE}


def _can_have_them(kernel: Path) -> bool:
    try:
        return "[madvise]" in kernel.read_text() and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):
        return False
