"""A queue on disk for what must not be lost while the other side is away.

Append-only segments of records, each `length (4 bytes) | crc32 (4 bytes) | payload`, and a small file that says which
records are done.  A record is safe when `append` returns (fsynced, if the spool says so); one that a crash cut short is
dropped at the next opening.  One process owns a spool at a time.
"""

import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_HEAD = struct.Struct(">II")
SEGMENT_BYTES = 4 << 20


class Spool:
    """Numbered records, from 1: appended at the end, read from the first that is not done, and done in order."""

    def __init__(self, directory: Path, *, fsync: bool = True, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open or make the spool; raises BlockingIOError when another process has it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._fsync, self._segment_bytes = directory, fsync, segment_bytes
        self._lock = (directory / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.done = self._read_done()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self.last = self.done
        segments = self._segments()
        for first, path in segments:
            self._load(first, path)
        self._segment: BinaryIO | None = None

    def __len__(self) -> int:
        """How many records are not done."""
        return len(self._waiting)

    def append(self, payload: bytes) -> int:
        """Store a record; return its number."""
        self.last += 1
        segment = self._segment or self._open_segment()
        segment.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        segment.flush()
        if self._fsync:
            os.fsync(segment.fileno())
        if segment.tell() >= self._segment_bytes:
            segment.close()
            self._segment = None
        self._waiting.append((self.last, payload))
        return self.last

    def pending(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The records that are not done, oldest first, from the one behind `after`."""
        return ((number, payload) for number, payload in tuple(self._waiting) if number > after)

    def finish(self, number: int) -> None:
        """Records up to this one are done; their space comes back."""
        if number <= self.done:
            return
        self.done = min(number, self.last)
        while self._waiting and self._waiting[0][0] <= self.done:
            self._waiting.popleft()
        draft = self._directory / "done.new"
        draft.write_text(f"{self.done}\n")
        draft.replace(self._directory / "done")
        self._drop_done_segments()

    def close(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._lock.close()

    def _read_done(self) -> int:
        try:
            return int((self._directory / "done").read_text())
        except FileNotFoundError:
            return 0

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self._directory.glob("*.seg"))

    def _load(self, first: int, path: Path) -> None:
        data, at, number = path.read_bytes(), 0, first
        while at + _HEAD.size <= len(data):
            length, crc = _HEAD.unpack_from(data, at)
            payload = data[at + _HEAD.size : at + _HEAD.size + length]
            if len(payload) < length or zlib.crc32(payload) != crc:
                break
            if number > self.done:
                self._waiting.append((number, payload))
            self.last = max(self.last, number)
            number, at = number + 1, at + _HEAD.size + length
        if at < len(data):  # a crash cut the last record short
            os.truncate(path, at)

    def _open_segment(self) -> BinaryIO:
        # Never appends to a segment of an earlier life: its name is the number of its first record.
        self._segment = (self._directory / f"{self.last:020d}.seg").open("wb")
        return self._segment

    def _drop_done_segments(self) -> None:
        segments = self._segments()
        follows = [first for first, _ in segments[1:]]
        if self._segment is None:
            follows.append(self.last + 1)
        for (_, path), following in zip(segments, follows, strict=False):
            if following - 1 <= self.done:
                path.unlink()
