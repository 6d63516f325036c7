"""A process that is stuck ends, and no other."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hum.process.watchdog import STATUS

PROGRAM = """
import asyncio, re, signal, sys, time
from hum.process import watchdog

async def main():
    async with watchdog.watch_loop(float(sys.argv[1])):
        print("runs", flush=True)
        await asyncio.sleep(float(sys.argv[1]) * 3)
        exec(sys.argv[2])
    print("done", flush=True)

asyncio.run(main())
"""


def run(seconds: float, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seconds), code], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.chaos
def test_a_loop_that_turns_is_left_alone() -> None:
    done = run(1.0, "pass")
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs\ndone\n", "")


@pytest.mark.chaos
@pytest.mark.parametrize("stuck", ["time.sleep(60)", "while True: pass"])
def test_a_loop_that_is_stuck_ends_its_process_and_says_where(stuck: str) -> None:
    done = run(1.0, stuck)
    assert (done.returncode, done.stdout) == (STATUS, "runs\n")
    assert "is stuck" in done.stderr
    assert "in main" in done.stderr


@pytest.mark.chaos
def test_so_does_a_thread_that_never_lets_go_of_the_interpreter() -> None:
    done = run(0.2, "re.match('(a+)+$', 'a' * 64 + 'b')")
    assert done.returncode == 1
    assert "in main" in done.stderr


@pytest.mark.chaos
def test_a_process_that_was_stopped_for_long_lives_on() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "1.0", "await_nothing = 1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(4.0)
    os.kill(process.pid, signal.SIGCONT)
    assert process.stdout.readline() == "done\n"
    assert process.wait(10) == 0
