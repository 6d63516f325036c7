"""`python -m media.compile`: make the core machine code, with mypyc, where there is a C compiler.

The same sources run without it; a call then costs a quarter more (docs/benchmarks/media.md).
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from mypy.version import __version__ as mypy_version
from mypyc.build import mypycify
from setuptools import Distribution

from media.native import BUILDS, CORE, INTERPRETER, LIBRARY, build_of_these_sources, sources

#: Their classes are msgspec's, which reads annotations that compiled classes no longer have.
LEFT_OUT = frozenset({"__init__", "leg", "realtime", "types"})


def lacking() -> str | None:
    """What this machine has not got and a compiler needs."""
    if shutil.which(str(sysconfig.get_config_var("CC")).split()[0]) is None:
        return "a C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers"
    return None


def compiled() -> Path:
    """Where the build of these sources lies, made if it was not; older ones of this interpreter are removed.

    SystemExit, with or behind the reason, if a source can't be compiled or changes meanwhile.  The working directory must
    be the project's.
    """
    place = build_of_these_sources()
    maker = place / "compiler"
    if maker.exists() and maker.read_text() == mypy_version:
        return place
    paths = [str(each.relative_to(CORE.parent.parent)) for each in sources() if each.stem not in LEFT_OUT]
    with TemporaryDirectory() as scratch:
        extensions = mypycify(
            [f"--cache-dir={scratch}/types", *paths],
            group_name=LIBRARY.removesuffix("__mypyc"),
            target_dir=f"{scratch}/c",
            debug_level="0",
        )
        command = Distribution({"name": "media-core", "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = f"{scratch}/library", f"{scratch}/objects"
        command.ensure_finalized()
        command.run()
        if build_of_these_sources() != place:
            raise SystemExit("hum: a source of the media core changed while it was compiled; do it again")
        BUILDS.mkdir(exist_ok=True)
        for old in BUILDS.glob(f"{INTERPRETER}-*"):
            shutil.rmtree(old)
        draft = BUILDS / f"{place.name}.new"
        shutil.move(f"{scratch}/library", draft)
        draft.rename(place)  # a build is there whole or not at all
        maker.write_text(mypy_version)
    return place


if __name__ == "__main__":
    os.chdir(CORE.parent.parent)
    if (lack := lacking()) is not None:
        print(
            f"hum: {lack} is missing, so the media core is interpreted; on Debian: apt-get install gcc python3-dev",
            file=sys.stderr,
        )
    else:
        compiled()
