"""How each program begins."""

import os

from hum import descriptors, private, telemetry
from hum.settings import Common


def begin(settings: Common, plane: str) -> None:
    """Private files, all descriptors that the system allows, logs and traces; call once, before anything else is opened."""
    os.umask(private.UMASK)
    descriptors.raise_limit()
    private.create_home(settings.home)
    telemetry.start(settings, plane)
