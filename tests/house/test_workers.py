"""The tests' own workers run each test once, whatever becomes of one of them."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
import os
import signal
from pathlib import Path

import pytest

RAN = Path(__file__).parent / "ran"


@pytest.fixture(scope="session", autouse=True)
def whole_run(tmp_path_factory):
    assert not list(tmp_path_factory.getbasetemp().iterdir())  # a folder of this worker's own
    yield
    with RAN.open("a") as file:
        file.write("ended\\n")


@pytest.mark.parametrize("number", range(100))
def test_it(number, tmp_path):
    with RAN.open("a") as file:
        file.write(f"{number}\\n")
    if number in (13, 55):
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"says {number}")
    if number == 40:
        pytest.skip("no")
    assert number != 77
"""


#: The last ones wait until the parent has received a failure.
STOPPING = """
import os
import time
from pathlib import Path

import pytest

FAILED = Path(__file__).parent / "failed"


def pytest_runtest_logreport(report):
    if report.failed and report.when == "call" and "[13]" in report.nodeid:
        FAILED.touch()


@pytest.fixture(autouse=True)
def wait(request):
    while request.node.callspec.params["number"] >= 60 and not FAILED.exists():
        time.sleep(0.01)
"""


ORPHAN = """
import os, signal, time


def test_it():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
"""


def run(folder: Path, *arguments: str, suite: str = SUITE) -> subprocess.CompletedProcess[str]:
    (folder / "test_suite.py").write_text(suite)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.workers",
        "-p",
        "no:schemathesis",
        "--workers",
        "3",
        *arguments,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_each_test_runs_once_though_workers_are_killed(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.returncode == 1
    ran = Counter((tmp_path / "ran").read_text().split())
    assert ran.pop("ended") >= 2
    assert ran == {str(number): 1 for number in range(100)}
    assert re.search(r"3 failed, 96 passed, 1 skipped", ended.stdout), ended.stdout
    assert set(re.findall(r"FAILED \S+\[(\d+)\]", ended.stdout)) == {"13", "55", "77"}
    assert "says 77" in ended.stdout


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(STOPPING)
    ended = run(tmp_path, "--maxfail", "1")
    assert ended.returncode == 1
    assert re.search(r"\b[12] failed", ended.stdout), ended.stdout  # another worker may be killed meanwhile
    assert len((tmp_path / "ran").read_text().split()) < 100


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that signals a process when its parent dies")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    # A worker that lived would hold the pipes to which this waits to the end.
    assert run(tmp_path, suite=ORPHAN).returncode == -signal.SIGKILL
