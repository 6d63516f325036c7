"""How each program begins."""

import atexit
import faulthandler
import gc
import os

from hum import descriptors, home, private, production, stderr, telemetry, tracing
from hum.settings import Common, SettingsT, load


def plane(kind: type[SettingsT], name: str) -> SettingsT:
    """Begin a plane: read its settings, or refuse them; its log is JSON from the first line."""
    stderr.wrap(name)
    faulthandler.enable()
    settings = load(kind)
    begin(settings, name)
    return settings


def begin(settings: Common, plane: str) -> None:
    """Refuse weak settings in production; private files, all descriptors that the system allows, logs and traces.

    Call it once, before anything else is opened.
    """
    end_soon()
    production.require(settings)
    os.umask(private.UMASK)
    descriptors.raise_limit()
    home.require(settings.home)
    telemetry.start(settings, plane)
    tracing.start(settings, plane)


def end_soon() -> None:
    """Have this process end without walking through all that it holds, which the system frees: half a second earlier."""
    atexit.register(gc.freeze)
