"""Sets the environment up in which HUM runs, and says what it does: `python3 requirements/install.py .venv`.

Runs on the system's Python, before anything is installed.  pip installs uv, exactly the one in the lock; uv installs the
rest, in a tenth of pip's time, and shows what it fetches.  Where uv can't (behind a mirror that only pip knows), pip does.
"""

import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "all.txt"
OLDEST, TOO_NEW = (3, 11), (3, 14)
#: What pip is told in its configuration, and how uv is told the same.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
}
WIDTH = 40  # of the steps, as `hum up` has them
Run = Callable[[Sequence[str], Mapping[str, str]], int]


class Failed(Exception):  # noqa: N818
    """A step did not work; the message says what to do."""


def pinned(lock: str, name: str) -> str:
    """Return the lines of a lock that pin one package, with its hashes."""
    lines = iter(lock.splitlines())
    first = next(line for line in lines if line.startswith(f"{name}=="))
    block = [first]
    while block[-1].endswith("\\"):
        block.append(next(lines))
    return "\n".join(block) + "\n"


def count(lock: str) -> int:
    """Count the packages that a lock pins; fewer are for any one Python."""
    return len(
        {line.partition("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))}
    )


def as_uv(pip_settings: str) -> dict[str, str]:
    """Return what `pip config list` prints, as environment variables of uv."""
    found = {}
    for line in pip_settings.splitlines():
        name, _, value = line.partition("=")
        variable = SETTINGS.get(name.rpartition(".")[2])
        if variable is not None:
            between = "," if variable == "UV_FIND_LINKS" else " "
            found[variable] = between.join(str(ast.literal_eval(value)).split())
    return found


class Setup:
    """The steps; `say` prints, `run` runs a command with more environment and returns its status."""

    def __init__(self, venv: Path, say: Callable[[str], None], run: Run, pip_settings: Callable[[], str]) -> None:
        self._venv, self._say, self._run, self._pip_settings = venv, say, run, pip_settings
        self._python = str(venv / "bin" / "python")

    def all(self) -> None:
        """Do all of them.  Raises Failed."""
        if not OLDEST <= sys.version_info[:2] < TOO_NEW:
            here = ".".join(map(str, sys.version_info[:2]))
            raise Failed(f"HUM runs on Python 3.11 to 3.13, and this is {here}; name another: make PYTHON=python3.12")
        self._say(f"Setting HUM up in {self._venv}; this is done once.")
        if not self._is_whole():
            with self._step("creating an environment of its own"):
                if self._run((sys.executable, "-m", "venv", "--clear", str(self._venv)), {}):
                    raise Failed("python3 can't make virtual environments; on Debian: apt-get install python3-venv")
        lock = LOCK.read_text()
        with self._step("fetching uv, which installs packages"), tempfile.TemporaryDirectory() as scratch:
            one = Path(scratch, "uv.txt")
            one.write_text(pinned(lock, "uv"))
            self._pip("--quiet", "--require-hashes", "-r", str(one))
        with self._step(f"installing up to {count(lock)} packages, as {LOCK.name} has them"):
            self._install("--require-hashes", "-r", str(LOCK))
        with self._step("installing HUM itself"):
            self._install("--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT))

    def _is_whole(self) -> bool:
        """Tell whether the environment is there, with pip: one whose making was broken off has a Python and no pip."""
        return Path(self._python).exists() and not self._run((self._python, "-c", "import pip"), {})

    def _install(self, *arguments: str) -> None:
        environment = {name: value for name, value in as_uv(self._pip_settings()).items() if name not in os.environ}
        uv = (str(self._venv / "bin" / "uv"), "pip", "install", "--python", self._python)
        if self._run((*uv, *arguments), environment):
            self._say("  uv can't; pip tries")
            self._pip(*arguments)

    def _pip(self, *arguments: str) -> None:
        if self._run((self._python, "-m", "pip", "install", "--disable-pip-version-check", *arguments), {}):
            raise Failed("the packages can't be installed; the reason is above")

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Say what is done, and then how long it took."""
        began = time.monotonic()
        self._say(f"  {what} ...")
        yield
        self._say(f"  {'':{WIDTH}} {time.monotonic() - began:5.1f} s")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    return subprocess.run(command, env=os.environ | environment, check=False).returncode


def _pip_settings(venv: Path) -> str:
    command = (str(venv / "bin" / "python"), "-m", "pip", "config", "list")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def main(arguments: Sequence[str]) -> int:
    (name,) = arguments or (".venv",)
    venv = Path(name)
    try:
        Setup(venv, _say, _run, lambda: _pip_settings(venv)).all()
    except Failed as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
