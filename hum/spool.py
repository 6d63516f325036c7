"""A queue on disk for records that must not be lost while their receiver is unavailable.

It consists of append-only segments of records, each `length (4 bytes) | crc32 (4 bytes) | payload`, and a small file
with the number of the last record that is done.  A record is safe when `append` returns (with `fsync`, even from a
power failure).  A record that a crash or a full disk cut short is dropped, and nothing is ever appended after it: the
next record begins a new segment.  One process owns a spool at a time, and only its user can read it.

Records are pending until `finish` marks them as done; `shed` drops the payloads of pending ones from memory.  Example:
records 1 to 3 are appended, and the receiver acknowledges 2.  `finish(2)` writes `done`; after a crash, `pending`
yields record 3.
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

from hum.process import private
from hum.refusal import refuse

_HEAD = struct.Struct(">II")
SEGMENT_BYTES = 4 << 20
MAX_SPOOLS = 1_000
DONE_BYTES = 21


class Spool:
    """Records numbered from 1: appended at the end, read from the first that is not done, and finished in order."""

    def __init__(self, directory: Path, *, fsync: bool = True, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open or create the spool.  Raises BlockingIOError if another process owns it."""
        private.directory(directory)
        self.directory, self._fsync, self._segment_bytes = directory, fsync, segment_bytes
        self._lock_path = os.fspath(directory / "lock")
        self._lock, self._done_file = _take(directory)
        self.done = self.done_on_disk = self._read_done()
        #: Number and size of the oldest pending records, which have their payloads on disk only.
        self._shed: deque[tuple[int, int]] = deque()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = 0  # in memory and on disk only
        self.last = self.done
        segments = self._segments()
        for (first, path), next_first in zip_longest(segments, (number for number, _ in segments[1:])):
            self._load(first, path, next_first)
        self._segment: FileIO | None = None

    def __len__(self) -> int:
        """Return the number of records that are not done."""
        return len(self._shed) + len(self._waiting)

    def append(self, payload: bytes) -> int:
        """Store a record; return its number.  Raises OSError, leaving the spool unchanged, if the write fails."""
        self.restore()
        number = self.last + 1
        self._store(number, payload)
        self.last = number
        self._add_pending(number, payload)
        return number

    def pending(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Return the records after number `after` that are not done, oldest first.

        Raises OSError if it must read shed ones.
        """
        after = max(after, self.done)
        disk_only = self._read(after, self._shed[-1][0]) if self._shed and self._shed[-1][0] > after else []
        return ((number, payload) for number, payload in (*disk_only, *self._waiting) if number > after)

    def shed(self, number: int) -> None:
        """Drop the payloads of records up to this one from memory: they are unlikely to be read again."""
        while self._waiting and self._waiting[0][0] <= number:
            record_number, payload = self._waiting.popleft()
            self._shed.append((record_number, len(payload)))

    def last_excess(self, most_bytes: int) -> int:
        """Return the number up to which records must be finished so that the others have at most `most_bytes`."""
        number, over_bytes = self.done, self._waiting_bytes - most_bytes
        for record_number, size_bytes in chain(
            self._shed, ((record_number, len(payload)) for record_number, payload in self._waiting)
        ):
            if over_bytes <= 0:
                break
            number, over_bytes = record_number, over_bytes - size_bytes
        return number

    def finish(self, number: int) -> None:
        """Mark records up to this one as done, and free their space.

        Raises OSError if the disk does not accept that; `done_on_disk` is then less than `done`, and another call tries again.
        """
        self.done = max(self.done, min(number, self.last))
        self.shed(self.done)
        while self._shed and self._shed[0][0] <= self.done:
            self._waiting_bytes -= self._shed.popleft()[1]
        if self.done_on_disk < self.done:
            self._write_done()
            self.done_on_disk = self.done
            self.drop_done_segments()

    def skip(self, number: int) -> None:
        """Reserve the numbers up to this one, which are used elsewhere: the next record gets the number after it."""
        if number > self.last:
            self._end_segment()  # a segment's numbers have no gaps
            self.last = number

    def restore(self) -> None:
        """Create the directory again if it was deleted, and write into it the records in memory.  Raises OSError."""
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._lock_path), os.fstat(self._lock.fileno())):  # noqa: PTH116 - before each record
                return
        private.directory(self.directory)
        lock, done_file = _take(self.directory)
        self._lock.close()
        os.close(self._done_file)
        self._lock, self._done_file = lock, done_file
        self._write_done()
        self._end_segment()
        next_number = 0
        for number, payload in tuple(self._waiting):
            if number != next_number:
                self._end_segment()  # a segment's numbers have no gaps
            self._store(number, payload)
            next_number = number + 1
        if next_number != self.last + 1:
            self._end_segment()

    def close(self) -> None:
        self._end_segment()
        os.close(self._done_file)
        self._lock.close()

    def _store(self, number: int, payload: bytes) -> None:
        """Write a record to the current segment.  Raises OSError."""
        segment = self._segment or self._open_segment(number)
        start = segment.tell()
        try:
            self._write(segment, _HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        # Whatever interrupts it, no record may follow one that is half written.
        except BaseException:
            self._abandon(segment, start)
            raise
        if segment.tell() >= self._segment_bytes:
            self._end_segment()

    def _add_pending(self, number: int, payload: bytes) -> None:
        self._waiting.append((number, payload))
        self._waiting_bytes += len(payload)

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _read_done(self) -> int:
        try:
            return int(os.pread(self._done_file, 32, 0))
        except ValueError:  # a new spool
            return 0

    def _write_done(self) -> None:
        # In place and of constant length, so that it succeeds on a full disk, and can then free the space of done
        # records.
        if os.pwrite(self._done_file, b"%020d\n" % self.done, 0) != DONE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _segments(self) -> list[tuple[int, Path]]:
        return sorted((int(path.stem), path) for path in self.directory.glob("*.seg"))

    def _load(self, first: int, path: Path, next_first: int | None) -> None:
        """Load a segment's records."""
        end = 0
        for number, payload, end in _records(first, path, next_first):  # noqa: B007 - used below
            if number > self.done:
                self._add_pending(number, payload)
            self.last = max(self.last, number)
        if not end:  # empty; a new segment needs its name
            path.unlink()
        # The last record was cut short, or `append` never returned its number.
        elif end < path.stat().st_size:
            os.truncate(path, end)

    def _read(self, after: int, until: int) -> list[tuple[int, bytes]]:
        """Read the records after `after`, up to `until`, from the disk."""
        segments = self._segments()
        next_firsts = [number for number, _ in segments[1:]]
        return [
            (number, payload)
            for (first, path), end in zip_longest(segments, next_firsts)
            if first <= until and (end is None or end > after)
            for number, payload, _ in _records(first, path, end)
            if after < number <= until
        ]

    def _open_segment(self, number: int) -> FileIO:
        # Never append to a segment from before a restart.  A segment's name is the number of its first record.
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
        written = 0
        while written < len(record):
            written += segment.write(record[written:]) or 0
        if self._fsync:
            os.fsync(segment.fileno())

    def _abandon(self, segment: FileIO, start: int) -> None:
        """Close a segment after a failed write; truncate the partial record if the disk allows, else `_load` drops it."""
        self._segment = None
        with suppress(OSError):
            os.ftruncate(segment.fileno(), start)
        with suppress(OSError):
            segment.close()

    def _sync_directory(self) -> None:
        handle = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def drop_done_segments(self) -> None:
        """Free the space of segments with no pending records.  Raises OSError."""
        segments = self._segments()
        next_firsts = [first for first, _ in segments[1:]]
        if self._segment is None:
            next_firsts.append(self.last + 1)
        for (_, path), next_first in zip(segments, next_firsts, strict=False):
            if next_first - 1 <= self.done:
                path.unlink()


def _take(directory: Path) -> tuple[FileIO, int]:
    """Return the held lock of a spool, and its open file `done`.  Raises BlockingIOError if another process owns it."""
    lock = FileIO(directory / "lock", "w", opener=private.opener)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock, os.open(directory / "done", os.O_RDWR | os.O_CREAT, private.FILE)


def _records(first: int, path: Path, next_first: int | None) -> Iterator[tuple[int, bytes, int]]:
    """Yield a segment's whole records, as number, payload and end offset.

    Stop at the next segment's first number: from there on, numbers were reused.
    """
    data, offset, number = path.read_bytes(), 0, first
    while offset + _HEAD.size <= len(data) and (next_first is None or number < next_first):
        length, crc = _HEAD.unpack_from(data, offset)
        payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
        if len(payload) < length or zlib.crc32(payload) != crc:
            return
        offset += _HEAD.size + length
        yield number, payload, offset
        number += 1


def acquire_spool(root: Path, *, fsync: bool) -> Spool:
    """Open the first spool below `root` that no living process owns, and move the records of dead processes into it.

    So these are sent even if no other process ever starts.
    """
    spool = next(_free_spools(root, range(MAX_SPOOLS), fsync=fsync), None)
    if spool is None:
        refuse(f"all {MAX_SPOOLS} spools below {root} are in use; stop some processes, or use another HUM_HOME")
    adopt_orphans(spool, fsync=fsync)
    return spool


def adopt_orphans(target: Spool, *, fsync: bool, most: int | None = None) -> int:
    """Move up to `most` records of ended processes from the spools beside this one into it; return how many."""
    count = 0
    for orphan in orphaned_spools(target.directory, fsync=fsync):
        # A full disk must not keep a process from starting: records that can't be moved stay for the next one.
        with suppress(OSError):
            for number, record in islice(orphan.pending(), None if most is None else most - count):
                target.append(record)
                orphan.finish(number)
                count += 1
        orphan.close()
    return count


def orphaned_spools(own_directory: Path, *, fsync: bool) -> Iterator[Spool]:
    """Yield the spools beside this one with pending records and without a living owner; the caller closes them."""
    numbers = sorted(int(folder.name) for folder in own_directory.parent.iterdir() if folder.name.isdecimal())
    for orphan in _free_spools(own_directory.parent, numbers, fsync=fsync):
        if len(orphan):
            yield orphan
        else:
            orphan.drop_done_segments()  # else every call would read them
            orphan.close()


def _free_spools(root: Path, numbers: Iterable[int], *, fsync: bool) -> Iterator[Spool]:
    for number in numbers:
        with suppress(BlockingIOError):
            yield Spool(root / str(number), fsync=fsync)
