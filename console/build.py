"""Builds the console into `gateway/static`: `python console/build.py`, with Node from the environment of this Python.

Without a network for npm it says so and ends well: the gateway then answers `/` with a plain page.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "gateway" / "static"
#: Whether a failure is one, as where the built console is tested.
IS_NEEDED = os.environ.get("CONSOLE_NEEDED", "") == "1"
SHOWN_LINES = 12


def run(*command: str) -> str:
    """Run a step in this folder; returns what it printed if it failed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command, cwd=HERE, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr or f"exit status {done.returncode}")


def installed() -> bool:
    """Whether npm's packages are those of the lock; npm leaves this file when it has written them all."""
    done = HERE / "node_modules" / ".package-lock.json"
    return done.exists() and done.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime


def main() -> int:
    began = time.monotonic()
    print("building the console ...", end=" ", flush=True)
    install = () if installed() else (("npm", "ci", "--omit=dev", "--loglevel=error"),)
    for step in (*install, ("npm", "run", "build", "--silent")):
        try:
            fault = run(*step)
        except FileNotFoundError:
            fault = "npm is not installed; it is in the extra `dev`"
        if fault:
            print("not built")
            print("\n".join(fault.strip().splitlines()[-SHOWN_LINES:]), file=sys.stderr)
            print(
                f"  `{' '.join(step)}` failed: / is a plain page until `make console` works.  Everything else runs.",
                file=sys.stderr,
            )
            shutil.rmtree(STATIC, ignore_errors=True)
            return 1 if IS_NEEDED else 0
    print(f"{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
