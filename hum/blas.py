"""One BLAS thread per process, from the first import on.

Our matrices are small and our loops keep real time.  OpenBLAS otherwise starts a thread per core, and these spin while
they wait: at 200 calls the media plane used 6.4 ms of CPU per second of call, and 1.5 with one thread.
"""

import numpy as np  # noqa: F401 - loads the library that is limited here
from threadpoolctl import threadpool_info, threadpool_limits

THREADS = 1

#: The limit holds for as long as nobody restores it, which nobody does.
_LIMITS = threadpool_limits(limits=THREADS, user_api="blas")


def described() -> str:
    """Library, version, kernel and threads of each BLAS in this process, for logs and benchmarks."""
    return ", ".join(
        f"{each['internal_api']} {each['version']} ({each.get('architecture', 'unknown kernel')}, "
        f"{each['num_threads']} threads)"
        for each in threadpool_info()
        if each["user_api"] == "blas"
    )
