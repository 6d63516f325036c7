"""Files and directories that only their owner may use: keys, recordings, reports, logs.

Modes are set here, and not left to the umask alone: what is private must be so whoever starts the process.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

UMASK = 0o077
FILE, DIRECTORY = 0o600, 0o700
#: Others may pass through, but neither list nor change it.
PASSAGE = 0o711


def opener(path: str, flags: int) -> int:
    """For `FileIO(..., opener=opener)`: a file that this creates is its owner's alone."""
    return os.open(path, flags, FILE)


def writer(path: Path) -> TextIO:
    """Open a text file to write it anew: as `Path.open`, which takes no opener."""
    return open(path, "w", opener=opener)


def appender(path: Path) -> BinaryIO:
    """Open a file to write at its end."""
    return open(path, "ab", opener=opener)


def create_home(path: Path) -> None:
    """Create HUM_HOME, and what is missing above it; one that exists is left as it is."""
    # Started by root, the embedded database runs as another user, and its directory lies below.
    _create(path, PASSAGE if os.geteuid() == 0 else DIRECTORY)


def directory(path: Path) -> None:
    """Create a directory that only its owner may enter, and what is missing above it; close one that others may."""
    _create(path, DIRECTORY)
    if path.stat().st_mode & 0o077:  # an earlier release's
        with suppress(PermissionError):
            path.chmod(DIRECTORY)


def _create(path: Path, mode: int) -> None:
    for each in (*reversed(path.parents), path):
        if not each.is_dir():
            each.mkdir(exist_ok=True)
            each.chmod(mode)  # not by mkdir: the umask would take its part
