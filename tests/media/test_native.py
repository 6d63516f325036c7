"""The core is compiled where possible, and never loaded from a build of other sources."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hum.settings import environment
from media import compile as compiler
from media import native

ROOT = native.MEDIA.parent


def origin(**variables: str) -> str:
    """Where a new process imports the conversation from."""
    program = "from media.core import conversation; print(conversation.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**environment(), **variables},
    )
    return found.stdout.strip()


COMPILES = pytest.mark.skipif(compiler.lacking() is not None, reason="no C compiler here")


@COMPILES
def test_where_there_is_a_compiler_the_core_is_machine_code() -> None:
    build = native.build_of_these_sources()
    assert build.exists(), "these sources are not compiled: run `python -m media.compile`"
    assert origin(HUM_MEDIA_INTERPRETED="") == str(build / "media" / "core" / f"conversation{native.SUFFIX}")


@pytest.mark.interpreted
def test_a_setting_interprets_it() -> None:
    assert origin(HUM_MEDIA_INTERPRETED="1") == str(native.MEDIA / "core" / "conversation.py")


@pytest.mark.parametrize("changed", ["core/vad.py", "shell.py", "io/control.py"])
def test_a_changed_source_has_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before = native.build_of_these_sources()
    shutil.copytree(native.MEDIA, tmp_path / "media", ignore=shutil.ignore_patterns("_native", "__pycache__"))
    monkeypatch.setattr(native, "MEDIA", tmp_path / "media")
    assert native.build_of_these_sources() == before, "the same sources elsewhere"
    with (native.MEDIA / changed).open("a") as source:
        source.write("# another word\n")
    assert native.build_of_these_sources() != before
    assert not native.prefer()


@COMPILES
def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.lacking() == "a C compiler"
    monkeypatch.undo()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert compiler.lacking() == "Python's headers"


@pytest.mark.interpreted
def test_without_a_compiler_it_says_so_and_goes_on(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "media.compile"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**environment(), "PATH": str(tmp_path)},
    )
    assert told.returncode == 0
    assert told.stderr == (
        "hum: a C compiler is missing, so the media core runs interpreted; on Debian: apt-get install gcc python3-dev\n"
    )


@COMPILES
def test_what_every_frame_passes_is_compiled() -> None:
    build = native.build_of_these_sources()
    built = {
        str(path.relative_to(build / "media")).removesuffix(native.SUFFIX) for path in build.rglob("media/**/*.so")
    }
    named = {str(source.relative_to(native.MEDIA)).removesuffix(".py") for source in native.sources()}
    left_out = {f"core/{name}" for name in ("__init__", *native.STRUCTS)}
    core = {f"core/{source.stem}" for source in (native.MEDIA / "core").glob("*.py")}
    shell = {
        "callfiles",
        "calloutput",
        "io/frames",
        "legs/twiliowire",
        "models/live",
        "models/realtime",
        "modelwire",
        "ports",
        "shell",
    }
    assert built == named == shell | (core - left_out)


def test_no_struct_is_compiled() -> None:
    """msgspec would find no types in it, and refuse what it should read."""
    assert not [path.name for path in native.sources() if "msgspec.Struct" in path.read_text()]
