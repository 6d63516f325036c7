"""What a process uses of its core, and what it may use."""

import subprocess
import sys

import pytest

from hum.clock import cpu_ms, monotonic_ms
from media.cpushare import Used
from tests.support.quota import cpu_quota


class Meter:
    def __init__(self) -> None:
        self.cpu_ms, self.cores = 0.0, 4.0
        self.used = Used(lambda: self.cpu_ms, lambda: self.cores)


def test_the_share_is_that_of_the_last_whole_window() -> None:
    meter = Meter()
    meter.cpu_ms = 5_000.0  # the imports, before the first sample
    meter.used.sample(100.0)
    meter.cpu_ms += 300.0
    meter.used.sample(600.0)
    assert meter.used.share == 0.0
    meter.cpu_ms += 300.0
    meter.used.sample(1_100.0)
    assert meter.used.share == pytest.approx(0.6)
    meter.used.sample(3_100.0)
    assert meter.used.share == 0.0, "a stall that is over is over"


def test_a_limit_below_one_core_is_the_whole() -> None:
    meter = Meter()
    meter.cores = 0.25
    meter.used.sample(0.0)
    meter.cpu_ms += 200.0
    meter.used.sample(1_000.0)
    assert meter.used.share == pytest.approx(0.8)


def test_the_processor_time_of_this_process_is_measured() -> None:
    used = Used(cpu_ms, lambda: float("inf"))
    used.sample(began_ms := monotonic_ms())
    spent_ms = cpu_ms() + 200.0
    while cpu_ms() < spent_ms:
        pass
    used.sample(began_ms + 1_000.0)
    assert 0.19 < used.share < 0.5


def test_the_control_groups_limit_is_found() -> None:
    probe = "import sys; sys.stdin.readline(); from media.cpushare import allowed_cores; print(allowed_cores())"
    process = subprocess.Popen([sys.executable, "-c", probe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with cpu_quota([process.pid], 0.25):
            said, _ = process.communicate("\n", timeout=50)
    except (PermissionError, FileNotFoundError):
        pytest.skip("no right to hold a process to a share of a core")
    finally:
        process.kill()
        process.wait()
    assert float(said) == 0.25
