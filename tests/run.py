"""`make test`: everything but the slow, as two runs side by side.

Tests of calls keep real time, and mostly wait; all others compute, in what processor time those leave.  The first run is shown
as it goes, the second when both are over.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
#: Folders whose tests compute; whatever is not below one of these keeps real time.  Those whose files take longest go first: at the
#: end, no worker has one of them left while the others have nothing.
COMPUTING = ["house", "contract", "security", "control", "storage", "gateway", "sandbox", "media/core", "bench", "hum"]
#: They leave the processor to those that keep real time, and yet get their part of it where other programs are busy.
NICE = ["nice", "-n", "3"]
COMMON = [sys.executable, "-m", "pytest", "-m", "not slow", "--dist", "loadfile", "--no-loadscope-reorder"]
NO_TESTS = 5  # pytest's status when its arguments chose none


def cache(run: str) -> list[str]:
    """Give a run its own record of what failed, which `.ci/again.py` reads."""
    return ["-o", f"cache_dir=.pytest_cache/{run}"]


def main() -> int:
    folders = [str(TESTS / name) for name in COMPUTING]
    realtime = [*COMMON, *cache("realtime"), "-n", "2", *(f"--ignore={folder}" for folder in folders), *sys.argv[1:]]
    computing = [*NICE, *COMMON, *cache("computing"), "-n", "3", *folders, *sys.argv[1:]]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has this run in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as output:
        runs = [
            subprocess.Popen(computing, stdout=output, stderr=output),
            subprocess.Popen(realtime),
        ]
        try:
            statuses = [run.wait() for run in runs]
        finally:
            for run in runs:  # if this was interrupted: pytest then ends what its tests have started
                run.send_signal(signal.SIGINT)
                run.wait()
            output.seek(0)
            sys.stdout.flush()
            sys.stdout.buffer.write(output.read())
    return max(0 if status == NO_TESTS else abs(status) for status in statuses)


if __name__ == "__main__":
    sys.exit(main())
