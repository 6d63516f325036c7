"""How each program begins."""

import os

from hum import descriptors, home, private, production, telemetry
from hum.settings import Common


def begin(settings: Common, plane: str) -> None:
    """Refuse weak settings in production; private files, all descriptors that the system allows, logs and traces.

    Call it once, before anything else is opened.
    """
    production.require(settings)
    os.umask(private.UMASK)
    descriptors.raise_limit()
    home.require(settings.home)
    telemetry.start(settings, plane)
