"""`python -m media.facts`: whether a media process runs the compiled core, and with which BLAS, as one JSON object."""

import json
import sys

from threadpoolctl import threadpool_info

from hum.process import blas
from hum.settings import media_interpreted
from media import native


def main() -> None:
    """Print the facts."""
    threads = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    facts = {
        "compiled": native.prefer(),
        "interpreted": media_interpreted(),
        "blas": blas.description(),
        "blas_threads": max(threads, default=0),
    }
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
