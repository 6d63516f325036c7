"""The loader of the compiled core and shell (media/compile.py); without a build, the same sources are interpreted.

A build's name is a hash of all sources of this plane.  So an edited source never runs beside an old build: no build has its
hash, and it is interpreted.
"""

import hashlib
import sys
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from hum.settings import media_interpreted

MEDIA = Path(__file__).parent
BUILDS = MEDIA / "_native"
#: Modules of plain values, the only ones with msgspec structs: msgspec reads annotations, which compiled classes no longer have.
STRUCTS = frozenset({"legmessages", "modelmessages", "plans", "types"})
#: The modules outside the core that handle every frame.
SHELL = (
    "callfiles.py",
    "calloutput.py",
    "io/frames.py",
    "legs/twiliowire.py",
    "models/live.py",
    "models/realtime.py",
    "modelwire.py",
    "ports.py",
    "shell.py",
)
#: Contains all compiled code; each module's own file only refers to it.
LIBRARY = "media_core__mypyc"
INTERPRETER = sys.implementation.cache_tag
SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")


def sources() -> list[Path]:
    """Return the source files that are compiled."""
    core = (source for source in (MEDIA / "core").glob("*.py") if source.stem not in STRUCTS | {"__init__"})
    return sorted((*core, *(MEDIA / name for name in SHELL)))


def build_of_these_sources() -> Path:
    """Return the directory for a build of these sources, whether or not it exists.

    Its hash covers the interpreted modules, too: compiled code relies on the types that they declare.
    """
    digest = hashlib.blake2b(SUFFIX.encode(), digest_size=10)
    for source in sorted(MEDIA.rglob("*.py")):
        digest.update(str(source.relative_to(MEDIA)).encode())
        digest.update(source.read_bytes())
    return BUILDS / f"{INTERPRETER}-{digest.hexdigest()}"


def prefer() -> bool:
    """Make imports find the compiled modules; return False if there is no build, or it is disabled."""
    build = build_of_these_sources()
    library = build / f"{LIBRARY}{SUFFIX}"
    if media_interpreted() or not library.exists():
        return False
    spec = spec_from_file_location(LIBRARY, library, loader=ExtensionFileLoader(LIBRARY, str(library)))
    assert spec is not None and spec.loader is not None, "it has the loader that it was given"
    module = sys.modules[LIBRARY] = module_from_spec(spec)
    spec.loader.exec_module(module)
    import media
    from media import core, io, legs, models

    for package in (media, core, io, legs, models):
        package.__path__.insert(0, str(build.joinpath(*package.__name__.split("."))))
    return True
