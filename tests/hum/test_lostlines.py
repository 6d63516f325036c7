"""Logs: one JSON object a line, and never an exception."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging
from hum.observe import logs
from hum.settings import Common
logs.start(Common(), "test")
log = logs.log("somewhere")
log.info("one", number=1)
logging.getLogger("a library").error("two")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("three")
print(int(logs.LOST_LINES._value.get()))
"""


def run(stderr: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=stderr, text=True, check=True)


def test_lines_are_json_and_each_is_whole(tmp_path: Path) -> None:
    done = run(subprocess.PIPE)
    first, second, third = done.stderr.splitlines()
    assert json.loads(first) | {"at": ""} == {"number": 1, "plane": "test", "level": "info", "at": "", "message": "one"}
    assert json.loads(second) | {"at": ""} == {
        "plane": "test", "level": "error", "at": "", "logger": "a library", "message": "two",
    }  # fmt: skip
    assert json.loads(third)["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert done.stdout == "0\n"


@pytest.mark.strain
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_costs_lines_and_is_counted() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert run(full).stdout == "3\n"
    finally:
        os.close(full)
