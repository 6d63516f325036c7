"""A queue on disk for what must not be lost while the other side is unavailable.

Append-only segments of records, each `length (4 bytes) | crc32 (4 bytes) | payload`, and a small file that says which
records are done.  A record is safe when `append` returns (fsynced, if the spool is set to); one that a crash or a full
disk cut short is dropped, and nothing is ever appended after it: the next record begins a new segment.  One process
owns a spool at a time, and only its user can read it.
"""

import errno
import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import FileIO
from itertools import chain, islice, zip_longest
from pathlib import Path

from hum import private
from hum.refusal import refuse

_HEAD = struct.Struct(">II")
SEGMENT_BYTES = 4 << 20
MAX_SPOOLS = 1_000
DONE_BYTES = 21


class Spool:
    """Records numbered from 1: appended at the end, read from the first that is not done, and finished in order."""

    def __init__(self, directory: Path, *, fsync: bool = True, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open or create the spool; raises BlockingIOError when another process owns it."""
        private.directory(directory)
        self.directory, self._fsync, self._segment_bytes = directory, fsync, segment_bytes
        self._lock = FileIO(directory / "lock", "w", opener=private.opener)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._note = os.open(directory / "done", os.O_RDWR | os.O_CREAT, private.FILE)
        self.done = self.noted = self._read_done()
        self._shed: deque[tuple[int, int]] = deque()  # the oldest, on disk alone: number and size
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0  # of both
        self.last = self.done
        segments = self._segments()
        for (first, path), following in zip_longest(segments, (number for number, _ in segments[1:])):
            self._load(first, path, following)
        self._segment: FileIO | None = None

    def __len__(self) -> int:
        """How many records are not done."""
        return len(self._shed) + len(self._waiting)

    def append(self, payload: bytes) -> int:
        """Store a record; return its number.  Raises OSError, leaving the spool unchanged, if the write fails."""
        number = self.last + 1
        segment = self._segment or self._open_segment(number)
        begins_at = segment.tell()
        try:
            self._write(segment, _HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        except BaseException:
            self._abandon(segment, begins_at)
            raise
        if segment.tell() >= self._segment_bytes:
            self._end_segment()
        self.last = number
        self._keep(number, payload)
        return number

    def pending(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The records that are not done, oldest first, beginning after number `after`.  Raises OSError if it must read shed ones."""
        after = max(after, self.done)
        shed = self._read(after, self._shed[-1][0]) if self._shed and self._shed[-1][0] > after else []
        return ((number, payload) for number, payload in (*shed, *self._waiting) if number > after)

    def shed(self, number: int) -> None:
        """Hold records up to this one on disk alone: it is unlikely that they are asked for again."""
        while self._waiting and self._waiting[0][0] <= number:
            each, payload = self._waiting.popleft()
            self._shed.append((each, len(payload)))

    def beyond(self, most_bytes: int) -> int:
        """The number up to which records would have to be done for the others to be no more than so many bytes."""
        number, over_bytes = self.done, self._waiting_bytes - most_bytes
        for each, size_bytes in chain(self._shed, ((each, len(payload)) for each, payload in self._waiting)):
            if over_bytes <= 0:
                break
            number, over_bytes = each, over_bytes - size_bytes
        return number

    def finish(self, number: int) -> None:
        """Mark records up to this one as done, and free their space.

        Raises OSError if the disk does not take that; `noted` is then less than `done`, and calling again tries again.
        """
        self.done = max(self.done, min(number, self.last))
        self.shed(self.done)
        while self._shed and self._shed[0][0] <= self.done:
            self._waiting_bytes -= self._shed.popleft()[1]
        if self.noted < self.done:
            self._write_done()
            self.noted = self.done
            self.drop_done_segments()

    def skip(self, number: int) -> None:
        """Numbers up to this one are used elsewhere: the next record gets the one after it."""
        if number > self.last:
            self._end_segment()  # a segment's records are numbered without gaps
            self.last = number

    def close(self) -> None:
        self._end_segment()
        os.close(self._note)
        self._lock.close()

    def _keep(self, number: int, payload: bytes) -> None:
        self._waiting.append((number, payload))
        self._waiting_bytes += len(payload)

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _read_done(self) -> int:
        try:
            return int(os.pread(self._note, 32, 0))
        except ValueError:  # a new spool
            return 0

    def _write_done(self) -> None:
        # In place and always as long: a disk that is full takes it too, and then gets the space of what is done.
        if os.pwrite(self._note, b"%020d\n" % self.done, 0) != DONE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self.directory.glob("*.seg"))

    def _load(self, first: int, path: Path, following: int | None) -> None:
        """Load a segment's records."""
        at = 0
        for number, payload, at in _records(first, path, following):  # noqa: B007 - the last one's end is needed
            if number > self.done:
                self._keep(number, payload)
            self.last = max(self.last, number)
        if not at:  # it holds no record, and a new segment would need its name
            path.unlink()
        elif at < path.stat().st_size:  # the last record was cut short, or `append` never returned its number
            os.truncate(path, at)

    def _read(self, after: int, until: int) -> list[tuple[int, bytes]]:
        """The records after `after`, up to `until`, from the disk."""
        segments = self._segments()
        following = [number for number, _ in segments[1:]]
        return [
            (number, payload)
            for (first, path), end in zip_longest(segments, following)
            if first <= until and (end is None or end > after)
            for number, payload, _ in _records(first, path, end)
            if after < number <= until
        ]

    def _open_segment(self, number: int) -> FileIO:
        # Never appends to a segment from before a restart.  A segment is named for the number of its first record.
        segment = FileIO(self.directory / f"{number:020d}.seg", "w", opener=private.opener)
        if self._fsync:
            try:
                self._sync_directory()
            except OSError:
                segment.close()
                raise
        self._segment = segment
        return segment

    def _write(self, segment: FileIO, record: bytes) -> None:
        # Unbuffered: bytes that a full disk did not accept must not be written with the next record.
        at = 0
        while at < len(record):
            at += segment.write(record[at:]) or 0
        if self._fsync:
            os.fsync(segment.fileno())

    def _abandon(self, segment: FileIO, begins_at: int) -> None:
        """Close a segment whose last write failed; truncate that record if the disk allows, else `_load` drops it."""
        self._segment = None
        with suppress(OSError):
            os.ftruncate(segment.fileno(), begins_at)
        with suppress(OSError):
            segment.close()

    def _sync_directory(self) -> None:
        handle = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def drop_done_segments(self) -> None:
        """Free the space of segments whose records are all done.  Raises OSError."""
        segments = self._segments()
        follows = [first for first, _ in segments[1:]]
        if self._segment is None:
            follows.append(self.last + 1)
        for (_, path), following in zip(segments, follows, strict=False):
            if following - 1 <= self.done:
                path.unlink()


def _records(first: int, path: Path, following: int | None) -> Iterator[tuple[int, bytes, int]]:
    """A segment's records that are whole, each with where it ends, up to the next segment's first number: from there on, numbers
    were reused.
    """
    data, at, number = path.read_bytes(), 0, first
    while at + _HEAD.size <= len(data) and (following is None or number < following):
        length, crc = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(payload) < length or zlib.crc32(payload) != crc:
            return
        at += _HEAD.size + length
        yield number, payload, at
        number += 1


def take_spool(root: Path, *, fsync: bool) -> Spool:
    """The first spool below `root` that no living process holds, with all that killed processes left in any of them.

    What is found elsewhere is moved into it, so that it is sent even if no other process ever starts.
    """
    own = next(_free_spools(root, range(MAX_SPOOLS), fsync=fsync), None)
    if own is None:
        refuse(f"all spools below {root} are taken")
    take_left(own, fsync=fsync)
    return own


def take_left(own: Spool, *, fsync: bool, most: int | None = None) -> int:
    """Move into this spool what processes that are gone have left in those beside it, `most` records; return how many those were."""
    taken = 0
    for left in left_beside(own.directory, fsync=fsync):
        # A full disk must not keep a process from starting: what can't be moved stays, and the next one finds it.
        with suppress(OSError):
            for number, record in islice(left.pending(), None if most is None else most - taken):
                own.append(record)
                left.finish(number)
                taken += 1
        left.close()
    return taken


def left_beside(own: Path, *, fsync: bool) -> Iterator[Spool]:
    """The spools beside this one that no living process holds, and in which something is left; each is the caller's to close."""
    numbers = sorted(int(folder.name) for folder in own.parent.iterdir() if folder.name.isdecimal())
    for left in _free_spools(own.parent, numbers, fsync=fsync):
        if len(left):
            yield left
        else:
            left.drop_done_segments()  # or each look would read them
            left.close()


def _free_spools(root: Path, numbers: Iterable[int], *, fsync: bool) -> Iterator[Spool]:
    for number in numbers:
        with suppress(BlockingIOError):
            yield Spool(root / str(number), fsync=fsync)
