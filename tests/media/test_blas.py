"""The media plane computes on the thread of its loop: a second BLAS thread would spin on another core."""

import subprocess
import sys

import pytest

PROBE = """
import media.app
from threadpoolctl import threadpool_info
print([each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"])
"""


@pytest.mark.bench
def test_blas_has_one_thread_whatever_the_environment_says() -> None:
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env={"OPENBLAS_NUM_THREADS": "4"}
    )
    assert probe.stdout.strip() == "[1]"
