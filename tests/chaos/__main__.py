"""python -m tests.chaos [WORDS]: every proof of HUM on several machines, and their table.  `make check-nodes` is the same.

With words, only the proofs whose names have one of them.  Takes root; eight minutes.  Ends with status 1
when a proof does not hold, or was not made.
"""

import sys
import time
from collections.abc import Sequence

import pytest

from tests.chaos.proofs import PROOFS, Collector, table

OPTIONS = ("-m", "nodes", "-p", "no:cacheprovider", "--workers", "2", "--whole-modules")


def main(words: Sequence[str]) -> int:
    chosen = [proof for proof in PROOFS if not words or any(word.lower() in proof.name.lower() for word in words)]
    paths = [str(path) for proof in chosen for path in proof.paths()]
    if not paths:
        sys.stderr.write(f"no proof is about {' or '.join(words)}\n")
        return 2
    collector, began = Collector(chosen), time.monotonic()
    pytest.main([*OPTIONS, *paths], plugins=[collector])
    sys.stdout.write(f"{table(collector.results.items())}\n{time.monotonic() - began:.0f} s in all\n")
    return 0 if all(result.holds for proof, result in collector.results.items() if proof.paths()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
