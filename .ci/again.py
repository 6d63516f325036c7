"""Run the tests that have just failed once more, alone.

Succeeds if they pass now, and leaves their names in `.pytest_cache/flaky`.  Fails if one fails again, or if the run failed
without a failed test: a crash or an error of collection is no matter of chance.
"""

import json
import subprocess
import sys
from pathlib import Path

CACHE = Path(".pytest_cache")
FAILED = CACHE / "v" / "cache" / "lastfailed"


def main() -> int:
    names = list(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not names:
        sys.exit("the run failed, and no test did")
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "--last-failed", "--last-failed-no-failures=none"], check=False
    ).returncode
    if status == 0:
        (CACHE / "flaky").write_text("".join(f"flaky: {name}\n" for name in names))
    return status


if __name__ == "__main__":
    sys.exit(main())
