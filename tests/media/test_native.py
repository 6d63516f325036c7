"""The core is compiled where possible, and never loaded from a build of other sources."""

import subprocess
import sys

import pytest

from hum.settings import environment
from media import compile as compiler
from media import native

ROOT = native.CORE.parent.parent


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
def test_where_there_is_a_compiler_the_core_is_machine_code():
    build = native.build_of_these_sources()
    assert build.exists(), "these sources are not compiled: run `python -m media.compile`"
    assert origin(HUM_MEDIA_INTERPRETED="") == str(build / "media" / "core" / f"conversation{native.SUFFIX}")


def test_a_setting_interprets_it():
    assert origin(HUM_MEDIA_INTERPRETED="1") == str(native.CORE / "conversation.py")


def test_a_changed_source_has_no_build(tmp_path, monkeypatch):
    before = native.build_of_these_sources()
    for source in native.sources():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(native, "CORE", tmp_path)
    assert native.build_of_these_sources() == before, "the same sources elsewhere"
    with (tmp_path / "vad.py").open("a") as changed:
        changed.write("# another word\n")
    assert native.build_of_these_sources() != before
    (tmp_path / "new.py").write_text("")
    assert not native.prefer()


@COMPILES
def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.lacking() == "a C compiler"
    monkeypatch.undo()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert compiler.lacking() == "Python's headers"


def test_without_a_compiler_it_says_so_and_goes_on(tmp_path):
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
def test_every_module_of_the_core_is_compiled_or_named_as_left_out():
    built = {path.name.removesuffix(native.SUFFIX) for path in native.build_of_these_sources().glob("media/core/*")}
    assert built | compiler.LEFT_OUT == {source.stem for source in native.sources()}
    assert not built & compiler.LEFT_OUT
