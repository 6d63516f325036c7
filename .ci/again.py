"""Run the tests that have just failed once more, alone.

Succeeds if they pass now, and leaves their names in `.pytest_cache/flaky`.  Fails if one fails again, or if the run failed
without a failed test: a crash or an error of collection is no matter of chance.
"""

import json
import subprocess
import sys
from pathlib import Path

CACHE = Path(".pytest_cache")
FLAKY = CACHE / "flaky"


def failed(cache: Path) -> list[str]:
    """Return the ids of the tests that failed in the last run with this cache."""
    file = cache / "v" / "cache" / "lastfailed"
    return list(json.loads(file.read_text())) if file.exists() else []


def main() -> int:
    runs = {cache: names for cache in sorted(CACHE.iterdir()) if (names := failed(cache))}
    if not runs:
        sys.exit("the run failed, and no test did")
    for cache in runs:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-o",
            f"cache_dir={cache}",
            "--last-failed",
            "--last-failed-no-failures=none",
        ]
        if subprocess.run(command, check=False).returncode:
            return 1
    names = [name for each in runs.values() for name in each]
    FLAKY.write_text("".join(f"flaky: {name}\n" for name in names) + f"{len(names)} flaky\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
