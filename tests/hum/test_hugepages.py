import os
import subprocess
import sys
from pathlib import Path

import pytest

from hum.process import hugepages

ASKS = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
#: Says what it runs with, as the same process or not.
PROGRAM = """
import os, sys
from pathlib import Path
from hum.process import hugepages
print("begun", os.getpid(), flush=True)
hugepages.prefer(Path(sys.argv[1]))
print(os.environ.get("PYTHONMALLOC"), os.environ.get("GLIBC_TUNABLES"), sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"A": "b"}, {"A": "b", **ASKS}),
        ({"GLIBC_TUNABLES": "a=1"}, {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "a=1:glibc.malloc.hugetlb=1"}),
        ({"PYTHONMALLOC": "malloc"}, ASKS),
        (ASKS, None),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, None),
        ({"PYTHONMALLOC": "debug"}, None),
    ],
)
def test_what_is_asked_for(own: dict[str, str], wanted: dict[str, str] | None) -> None:
    assert hugepages.huge_page_environment(own) == wanted


def test_whoever_starts_a_program_may_ask_for_it(tmp_path: Path) -> None:
    kernel = tmp_path / "enabled"
    assert hugepages.preferred_environment({"A": "b"}, kernel) == {"A": "b"}
    kernel.write_text("always [madvise] never\n")
    assert hugepages.preferred_environment({"A": "b"}, kernel) == {"A": "b", **ASKS}
    assert hugepages.preferred_environment(ASKS, kernel) == ASKS


def run(tmp_path: Path, kernel: str) -> list[str]:
    (tmp_path / "enabled").write_text(kernel)
    plain = {name: value for name, value in os.environ.items() if name not in ASKS}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "enabled"), "--x", "y z"]
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.chaos
def test_a_program_begins_again_once_as_the_same_process(tmp_path: Path) -> None:
    first, second, then = run(tmp_path, "always [madvise] never\n")
    assert first == second
    assert then == "malloc glibc.malloc.hugetlb=1 ['--x', 'y z']"


@pytest.mark.chaos
@pytest.mark.parametrize("kernel", ["always madvise [never]\n", "[always] madvise never\n", ""])
def test_where_it_would_change_nothing_a_program_goes_on(tmp_path: Path, kernel: str) -> None:
    _, then = run(tmp_path, kernel)
    assert then == "None None ['--x', 'y z']"
