"""`python -m media.compile`, which compiles the core to machine code with mypyc, where there is a C compiler.

The same sources run uncompiled; a call then costs a quarter more (docs/benchmarks/media.md).
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from mypy.util import hard_exit
from mypy.version import __version__ as mypy_version
from mypyc.build import mypycify
from setuptools import Distribution

from hum.clock import monotonic_ms
from media.native import BUILDS, INTERPRETER, LIBRARY, MEDIA, build_of_these_sources, sources


def lacking() -> str | None:
    """Return what this machine lacks for compilation, or None if nothing is missing."""
    if shutil.which(str(sysconfig.get_config_var("CC")).split()[0]) is None:
        return "a C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers"
    return None


def compiled() -> Path:
    """Return the directory with the build of these sources.

    Compile them if there is no build, and remove this interpreter's older builds.  Raises SystemExit if a source can't be
    compiled or changes meanwhile; the reason is in the exception or was printed before.
    The working directory must be the project's root.
    """
    place = build_of_these_sources()
    maker = place / "compiler"
    if maker.exists() and maker.read_text() == mypy_version:
        return place
    paths = [str(source.relative_to(MEDIA.parent)) for source in sources()]
    with TemporaryDirectory() as scratch:
        extensions = mypycify(
            [f"--cache-dir={scratch}/types", *paths],
            group_name=LIBRARY.removesuffix("__mypyc"),
            target_dir=f"{scratch}/c",
            debug_level="0",
            # Most of the code calls Python's C API: at the levels 2 and 3 a call costs the same, and the compiler takes a fifth longer.
            opt_level="1",
        )
        for extension in extensions:
            # What Python's own flags ask for: to look for what deserves a warning in generated code takes as long as to compile it.
            extension.extra_compile_args.append("-Wno-all")
        command = Distribution({"name": "media-core", "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = f"{scratch}/library", f"{scratch}/objects"
        command.parallel = os.cpu_count()  # the library beside the modules' own files
        command.ensure_finalized()
        command.run()
        if build_of_these_sources() != place:
            raise SystemExit("hum: a source file of the media core changed during compilation; run it again")
        BUILDS.mkdir(exist_ok=True)
        for old in BUILDS.glob(f"{INTERPRETER}-*"):
            shutil.rmtree(old)
        draft = BUILDS / f"{place.name}.new"
        shutil.move(f"{scratch}/library", draft)
        draft.rename(place)  # atomic: a build is complete or absent
        maker.write_text(mypy_version)
    return place


if __name__ == "__main__":
    os.chdir(MEDIA.parent)
    if (lack := lacking()) is not None:
        print(
            f"hum: {lack} is missing, so the media core runs interpreted; on Debian: apt-get install gcc python3-dev",
            file=sys.stderr,
        )
    else:
        began_ms = monotonic_ms()
        print("  compiling the media core and its shell ...", flush=True)
        compiled()
        print(f"  {'':40} {(monotonic_ms() - began_ms) / 1000:5.1f} s", flush=True)
        # To free millions of mypy's objects one by one would take as long as the C compiler; mypy's own program ends so too.
        hard_exit(0)
