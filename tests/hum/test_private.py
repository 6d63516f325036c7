"""What lies under HUM_HOME is its owner's alone, whoever's umask it was made under."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hum.process import home, private
from hum.process.processes import ProcessSpec
from hum.process.programs import Program
from hum.settings import environment
from hum.spool import Spool


@pytest.fixture(autouse=True)
def _open_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    """What others may do anything with, but for the way through to what lies below."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            found.append(f"{path.relative_to(root)} {mode:o}")
    return found


async def test_keys_addresses_logs_and_spools(tmp_path: Path) -> None:
    root = tmp_path / "home"
    home.private_text(root / "node.key", "secret")
    home.write_run(root, {"twilio_auth_token": "secret"})
    code = "import time; print('{}', flush=True); time.sleep(60)"
    command = ProcessSpec(("-c", code), environment(), root / "log" / "p.log", supervised=False)
    process = await Program("p", command).launch(lambda: None)
    await process.end()
    spool = Spool(root / "spool" / "0", fsync=False)
    spool.append(b"a transcript")
    spool.finish(1)
    spool.append(b"another")
    spool.close()
    assert {"node.key", "run.json", "log", "spool"} <= {each.name for each in root.iterdir()}
    assert open_to_others(root) == []
    assert stat.S_IMODE(root.stat().st_mode) & ~private.PASSAGE == 0


def test_a_key_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    key = tmp_path / "node.key"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"):
            home.private_text(key, "first")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert home.private_text(key, "second") == "second"
    assert home.private_text(key, "third") == "second"


def test_whoever_comes_later_gets_the_key_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes one between our look and our writing."""
    (tmp_path / "node.key").write_text("theirs\n")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert home.private_text(tmp_path / "node.key", "ours") == "theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["node.key"]


def test_a_directory_of_an_earlier_release_is_closed(tmp_path: Path) -> None:
    old = tmp_path / "recordings" / "org_1"
    old.mkdir(parents=True)
    private.directory(old)
    assert stat.S_IMODE(old.stat().st_mode) == private.DIRECTORY


def test_a_home_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    private.create_home(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


def test_a_program_begins_with_a_private_umask(tmp_path: Path) -> None:
    code = (
        "import os; from hum.process import program; from hum.settings import Common; os.umask(0);"
        f"program.begin(Common(home={str(tmp_path / 'home')!r}), 'test'); print(oct(os.umask(0)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "0o77\n"
