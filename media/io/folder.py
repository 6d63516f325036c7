"""The folder of this machine's recordings, as whoever brings them to the bucket sees it.  All of this is done in threads."""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hum import private, recordings

LOCK = ".storing"


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file that nobody writes any more, and that is to be stored."""

    path: str
    size: int
    changed_at: float


class Folder:
    """One process at a time has it; the kernel passes it on when that one dies."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None

    def acquire(self) -> bool:
        """Whether this process has it, now or already."""
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
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pending(self) -> list[PendingFile]:
        """What is to be stored, also what can't be read."""
        files = []
        for path in _paths(self._root):
            with suppress(FileNotFoundError):
                now = os.lstat(self._root / path)
                if stat.S_ISREG(now.st_mode) and not self._is_being_written(path):
                    files.append(PendingFile(path, now.st_size, now.st_mtime))
        return files

    def delete(self, paths: Iterable[str]) -> None:
        """Raises OSError; a file that is gone is none."""
        for path in paths:
            (self._root / path).unlink(missing_ok=True)

    def _is_being_written(self, path: str) -> bool:
        """Raises FileNotFoundError."""
        try:
            with self.open(path) as file:
                return file is None
        except PermissionError:  # seen when it is to be stored
            return False

    @contextmanager
    def open(self, path: str) -> Iterator[int | None]:
        """A file, open to read; None if it is being written, or was deleted.  Raises OSError."""
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
