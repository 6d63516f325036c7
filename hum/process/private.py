"""Files and directories that only their owner may use: keys, recordings, reports, logs.

Modes are set explicitly, as the umask depends on how the process was started.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

UMASK = 0o077
FILE, DIRECTORY = 0o600, 0o700
#: Others may enter it, but neither list nor change it.
PASSAGE = 0o711


def opener(path: str, flags: int) -> int:
    """Open a file for `FileIO(..., opener=opener)`; one that is created is private to its owner."""
    return os.open(path, flags, FILE)


def writer(path: Path) -> TextIO:
    """Open a text file to overwrite it."""
    return open(path, "w", opener=opener)


def appender(path: Path) -> BinaryIO:
    """Open a file to append to it."""
    return open(path, "ab", opener=opener)


def create_home(path: Path) -> None:
    """Create HUM_HOME and its missing parents; leave an existing one as it is."""
    # Started by root, the embedded database runs as another user, and its directory lies below.
    _create(path, PASSAGE if os.geteuid() == 0 else DIRECTORY)


def directory(path: Path) -> None:
    """Create a directory that only its owner may enter, and its missing parents; restrict one that others may enter."""
    _create(path, DIRECTORY)
    if path.stat().st_mode & 0o077:  # an earlier release's
        with suppress(PermissionError):
            path.chmod(DIRECTORY)


def _create(path: Path, mode: int) -> None:
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)  # mkdir would apply the umask
