"""One BLAS thread per process, from the first import on.

Our matrices are small and our loops keep real time.  By default OpenBLAS starts a thread per core, and these spin while
they wait: at 200 calls the media plane used 6.4 ms of CPU per second of call, and 1.5 ms with one thread.
"""

import numpy as np  # noqa: F401 - loads the library that is limited here
from threadpoolctl import threadpool_info, threadpool_limits

THREADS = 1

#: The limit holds until `_LIMITS` restores the previous one, which never happens.
_LIMITS = threadpool_limits(limits=THREADS, user_api="blas")


def description() -> str:
    """Return library, version, kernel and threads of each BLAS in this process, for logs and benchmarks."""
    return ", ".join(
        f"{library['internal_api']} {library['version']} ({library.get('architecture', 'unknown kernel')}, "
        f"{library['num_threads']} threads)"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    )
