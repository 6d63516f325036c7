"""The folder of this machine's recordings, as the uploader sees it.  All methods block, and are called in threads."""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hum import recordings
from hum.process import private

LOCK = ".storing"


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A complete file that is to be stored in the bucket."""

    path: str
    size: int
    changed_at: float


class Folder:
    """The folder and its lock, which one process holds at a time; the kernel releases it when that process dies."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None

    def acquire(self) -> bool:
        """Acquire the lock, if no other process holds it; return whether this process holds it."""
        if self._lock is not None:
            return True
        private.directory(self._root)
        lock = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pending(self) -> list[PendingFile]:
        """Return the files that are to be stored, including unreadable ones.  Raises OSError."""
        files = []
        for path in _paths(self._root):
            with suppress(FileNotFoundError):
                now = os.lstat(self._root / path)
                if stat.S_ISREG(now.st_mode) and not self._is_being_written(path):
                    files.append(PendingFile(path, now.st_size, now.st_mtime))
        return files

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; ignore those that do not exist.  Raises OSError."""
        for path in paths:
            (self._root / path).unlink(missing_ok=True)

    def _is_being_written(self, path: str) -> bool:
        """Return whether a file is being written or was deleted.  Raises FileNotFoundError."""
        try:
            with self.open(path) as file:
                return file is None
        except PermissionError:  # reported when it is stored
            return False

    @contextmanager
    def open(self, path: str) -> Iterator[int | None]:
        """Open a file to read; yield None if it is being written or was deleted.  Raises OSError."""
        file = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            is_free = True
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                is_free = False
            yield file if is_free and os.fstat(file).st_nlink else None
        finally:
            os.close(file)


def _paths(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = (Path(folder) / name).relative_to(root).as_posix()
            if recordings.owner(path) is not None:
                yield path
