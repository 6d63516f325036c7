"""Loads the core as machine code, if it was compiled (media/compile.py); otherwise the same sources are interpreted.

A build's name is a hash of everything it was made from, so an edited source never runs as an old build: there is no
build for it, and it is interpreted.
"""

import hashlib
import sys
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from hum.settings import media_interpreted

CORE = Path(__file__).parent / "core"
BUILDS = Path(__file__).parent / "_native"
#: Contains all compiled code; each module's own file only refers to it.
LIBRARY = "media_core__mypyc"
INTERPRETER = sys.implementation.cache_tag
SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")


def sources() -> list[Path]:
    return sorted(CORE.glob("*.py"))


def build_of_these_sources() -> Path:
    """The build's directory, whether or not it exists."""
    digest = hashlib.blake2b(SUFFIX.encode(), digest_size=10)
    for source in sources():
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return BUILDS / f"{INTERPRETER}-{digest.hexdigest()}"


def prefer() -> bool:
    """Let imports of the core find its build; False if there is none, or it is disabled."""
    build = build_of_these_sources()
    library = build / f"{LIBRARY}{SUFFIX}"
    if media_interpreted() or not library.exists():
        return False
    spec = spec_from_file_location(LIBRARY, library, loader=ExtensionFileLoader(LIBRARY, str(library)))
    assert spec is not None and spec.loader is not None, "it has the loader that it was given"
    module = sys.modules[LIBRARY] = module_from_spec(spec)
    spec.loader.exec_module(module)
    from media import core

    core.__path__.insert(0, str(build / "media" / "core"))
    return True
