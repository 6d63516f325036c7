"""The start of every program: settings, checks, logs, traces."""

import atexit
import faulthandler
import gc
import os

from hum.observe import logs, stderr, tracing
from hum.process import descriptors, home, private, production
from hum.settings import Common, SettingsT, load

LOG = logs.log(__name__)


def plane(kind: type[SettingsT], name: str) -> SettingsT:
    """Begin a plane with JSON logs from the first line; return its settings, or exit if they are invalid."""
    stderr.wrap(name)
    faulthandler.enable()
    settings = load(kind)
    begin(settings, name)
    return settings


def begin(settings: Common, plane: str) -> None:
    """Refuse weak settings in production; make files private, raise the descriptor limit, and start logs and traces.

    Call it once, before anything else is opened.
    """
    skip_last_collection()
    production.require(settings)
    os.umask(private.UMASK)
    descriptors.raise_limit()
    home.require(settings.home)
    logs.start(settings, plane)
    if settings.overridden:
        LOG.warning("constants are overridden; that is for tests and benchmarks", constants=settings.overridden)
    tracing.start(settings, plane)


def skip_last_collection() -> None:
    """Freeze the garbage collector at exit: a last collection takes half a second, and the system frees all memory."""
    atexit.register(gc.freeze)
