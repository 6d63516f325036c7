"""The set-up shows its steps, uses the uv of the lock, and pip where uv can't."""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "all.txt").read_text()
PIP = """:env:.cert='/etc/ssl/own.crt'
global.index-url='https://user:word@mirror.example.com/simple'
global.find-links='\\n/one\\n/two'
install.no-compile='true'
"""


def load() -> Any:
    spec = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = load()


class Machine:
    """Notes what is run; some programs fail."""

    def __init__(self, venv: Path, *failing: str) -> None:
        self.ran: list[Sequence[str]] = []
        self.told: list[Mapping[str, str]] = []
        self.lines: list[str] = []
        self._failing = failing
        self.setup = install.Setup(venv, self.lines.append, self._run, lambda: PIP)

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        self.ran.append(command)
        self.told.append(environment)
        return int(any(name in " ".join(command) for name in self._failing))


def test_steps_are_shown_with_their_times(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.setup.all()
    steps = [line for line in machine.lines if line.endswith(" ...")]
    assert len(steps) == 4 and len(machine.ran) == 4
    assert sum(line.endswith(" s") for line in machine.lines) == 4
    assert machine.ran[0][:3] == (sys.executable, "-m", "venv")
    assert machine.ran[1][1:4] == ("-m", "pip", "install"), "uv comes by pip"
    assert [command[0] for command in machine.ran[2:]] == [str(tmp_path / "bin" / "uv")] * 2
    assert all("--require-hashes" in command for command in machine.ran[1:3])


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_environment_whose_making_was_broken_off_is_made_anew(tmp_path: Path, is_whole: bool) -> None:
    """By Ctrl-C, or on a Debian without python3-venv: it has a Python, and no pip."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    machine = Machine(tmp_path, *(() if is_whole else ("import pip",)))
    machine.setup.all()
    made = [command for command in machine.ran if "venv" in command]
    assert made == ([] if is_whole else [(sys.executable, "-m", "venv", "--clear", str(tmp_path))])


def test_uv_is_told_what_pip_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in install.SETTINGS.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.example.com")
    machine = Machine(tmp_path)
    machine.setup.all()
    assert machine.told[2] == {"SSL_CERT_FILE": "/etc/ssl/own.crt", "UV_FIND_LINKS": "/one,/two"}
    assert install.as_uv(PIP)["UV_DEFAULT_INDEX"] == "https://user:word@mirror.example.com/simple"


def test_where_uv_can_not_pip_does(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "bin/uv")
    machine.setup.all()
    assert machine.ran[3][1:4] == ("-m", "pip", "install")
    assert machine.ran[3][-2:] == machine.ran[2][-2:]
    assert "  uv can't; pip tries" in machine.lines


@pytest.mark.parametrize(("failing", "words"), [("-m venv", "apt-get install python3-venv"), ("-m pip", "above")])
def test_what_can_not_be_done_is_said(tmp_path: Path, failing: str, words: str) -> None:
    with pytest.raises(install.Failed, match=words):
        Machine(tmp_path, failing).setup.all()


def test_a_python_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    machine = Machine(tmp_path)
    with pytest.raises(install.Failed, match=r"this is 3\.9; name another: make PYTHON="):
        machine.setup.all()
    assert machine.ran == []


def test_the_lock_pins_uv_with_its_hashes() -> None:
    first, *hashes = install.pinned(LOCK, "uv").splitlines()
    assert first.startswith("uv==") and len(hashes) > 1
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    assert not hashes[-1].endswith("\\")
    assert 100 < install.count(LOCK) < 400
