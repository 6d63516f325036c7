"""A call's recording: WAV, 8 kHz, 16 bits, caller left, agent right, on the call's clock.  And a message: the caller alone.

PCM and not mu-law, though it is twice the size: every browser and every transcription service accepts it.  Byte 0 of
the audio is 0 ms on the call's clock, so that a turn's `start_ms` is its position in the file; there is silence before
the announcement was heard, and wherever no audio came.  Everything older than a few seconds is on disk, and the header
is correct after each write: a process that is killed leaves a playable file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from hum import peaks, private, recordings
from hum.peaks import Peaks
from hum.telemetry import log
from hum.wave import HEADER, SAMPLE_BYTES, header
from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, interleave, to_linear, to_ms
from media.io.filework import HANGS, FileWork, InlineFileWork
from media.reports import Recording

LOG = log(__name__)
Names = Callable[[str, str], Iterator[str]]
"""What a call's recordings may be called, by its organization's id and its own; the first free one is taken."""
INLINE = InlineFileWork()
SLACK_BYTES = 10 * BYTES_PER_MS  # timestamps are rounded: a smaller gap or overlap counts as none
LATE_BYTES = 2_500 * BYTES_PER_MS  # how late a piece may still come
CHUNK_BYTES = 1_000 * BYTES_PER_MS
MESSAGE_CHUNK_BYTES = 500 * BYTES_PER_MS  # what a killed process loses of a message
MAX_GAP_MS = 60_000  # audio with a timestamp further ahead than this is dropped
#: The height of each mu-law sample.
HEIGHTS = peaks.of_pcm(np.frombuffer(to_linear(bytes(range(256))), np.int16)).tobytes()


class Track:
    """One channel's mu-law audio from `start` on, in bytes since 0 ms of the call."""

    __slots__ = ("audio", "start")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.audio = bytearray()

    @property
    def end(self) -> int:
        return self.start + len(self.audio)

    def put(self, payload: bytes, at_ms: int) -> None:
        at, end = at_ms * BYTES_PER_MS, self.end
        if not -SLACK_BYTES <= at - end <= SLACK_BYTES:
            if at_ms - to_ms(end) > MAX_GAP_MS:
                return
            payload = payload[max(0, end - at) :]
            self.audio += SILENCE_BYTE * (at - end)
        self.audio += payload

    def blank(self, at_ms: int) -> None:
        """Make silence of what is still here, from `at_ms` on."""
        first = max(0, at_ms * BYTES_PER_MS - self.start)
        self.audio[first:] = SILENCE_BYTE * max(0, len(self.audio) - first)

    def take(self, end: int) -> bytes:
        """Remove and return the audio before `upto`, padded with silence."""
        size = end - self.start
        taken = bytes(self.audio[:size]).ljust(size, SILENCE_BYTE)
        del self.audio[:size]
        self.start = end
        return taken


class WavFile:
    """A file that is correct after each write.  Nothing here raises: a full disk ends the file, with a reason, and no call.

    What opens, writes and closes may wait for the disk; whoever can't wait has it done by a `FileWork`.
    """

    def __init__(self, root: Path, channels: int) -> None:
        self._root, self._channels = root, channels
        self._path = root
        self._file = -1
        self.samples = 0  # per channel, that are in the file
        self._peaks = Peaks(channels)
        self.fault = ""

    def open(self, names: Iterator[str]) -> str | None:
        """Create it with the first name that is free; return its path, or None if that fails."""
        try:
            self._file = self._create(names)
            _write_all(self._file, header(0, self._channels), 0)
        except OSError as error:
            self._failed(error)
            return None
        return self.path

    @property
    def is_open(self) -> bool:
        return self._file >= 0

    @property
    def path(self) -> str:
        """Relative to the recordings' root."""
        return self._path.relative_to(self._root).as_posix()

    @property
    def size_bytes(self) -> int:
        return HEADER.size + self._data_bytes(self.samples)

    def append(self, ulaw: bytes) -> None:
        """Mu-law, interleaved; nothing if it can't be written, now or any more."""
        if self._file < 0:
            return
        samples = self.samples + len(ulaw) // self._channels
        try:
            _write_all(self._file, to_linear(ulaw), self.size_bytes)
            _write_all(self._file, header(self._data_bytes(samples), self._channels), 0)
        except OSError as error:
            self._failed(error)
            return
        self.samples = samples
        self._peaks.add(np.frombuffer(ulaw.translate(HEIGHTS), np.uint8))

    def finish(self) -> None:
        """All is written: close the file, and write its peaks beside it.  Without them, whoever wants them computes them."""
        if self._file < 0:
            return
        self.close()
        path = peaks.beside(self._path)
        try:
            with open(path, "wb", opener=private.opener) as file:
                file.write(peaks.pack(self._peaks.all()))
        except OSError as error:
            LOG.warning("a recording's peaks were not written", path=str(path), error=str(error))
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1

    @property
    def descriptor(self) -> int:
        """Of the open file; with it travels the lock."""
        return self._file

    def adopt(self, descriptor: int) -> None:
        """Go on in this process, with this descriptor."""
        self._file = descriptor

    def remove(self) -> None:
        """As if it had never been."""
        if self._file >= 0:
            with suppress(OSError):
                self._path.unlink()
            self.close()

    def stored(self) -> Recording:
        """What is in the file, and why it is not all."""
        if self.fault and not self.samples:
            return Recording("", 0, 0, self.fault)
        return Recording(self.path, to_ms(self.samples), self.size_bytes, self.fault)

    def _data_bytes(self, samples: int) -> int:
        return samples * self._channels * SAMPLE_BYTES

    def _create(self, names: Iterator[str]) -> int:
        for name in names:
            self._path = self._root / name
            private.directory(self._path.parent)
            with suppress(FileExistsError):  # an earlier stream of the same call
                file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private.FILE)
                with suppress(OSError):  # until it is closed, or this process is gone, nobody brings it to the bucket
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
        raise AssertionError("there is always another name")

    def _failed(self, error: OSError) -> None:
        """Keep what was written before; no file at all if that is nothing."""
        self.fault = error.strerror or str(error)
        LOG.error("recording failed", path=str(self._path), error=str(error))
        if self._file < 0:
            return
        if not self.samples:
            self.remove()
            return
        with suppress(OSError):
            os.ftruncate(self._file, self.size_bytes)
        self.close()


class _Written:
    """What is being written to a file."""

    def __init__(
        self, root: Path, names: Iterator[str], channels: int, files: FileWork, then: Callable[[str | None], None]
    ) -> None:
        """`then` is told the file's path, or None if there is none."""
        self._file, self._files = WavFile(root, channels), files
        files.submit(partial(self._file.open, names), then)

    @property
    def path(self) -> str | None:
        """Relative to the recordings' root; None if there is no file."""
        return self._file.path if self._file.is_open else None

    @property
    def descriptor(self) -> int:
        """Of the open file."""
        return self._file.descriptor

    def adopt(self, descriptor: int) -> None:
        """Go on in this process."""
        self._file.adopt(descriptor)

    def detach(self) -> None:
        """Another process goes on."""
        self._files.submit(self._file.close)

    def _append(self, ulaw: bytes) -> None:
        if not self._files.submit(partial(self._file.append, ulaw), size_bytes=len(ulaw)):
            self._file.fault = HANGS

    def _finish(self) -> Recording:
        self._file.finish()
        return self._file.stored()

    def _remove(self) -> Recording:
        self._file.remove()
        return Recording("", 0, 0)


class Recorder(_Written):
    """A call's recording."""

    def __init__(
        self,
        root: Path,
        organization_id: str,
        call_id: str,
        names: Names = recordings.names,
        files: FileWork = INLINE,
        then: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`then` is told the file's path, or None if there is none."""
        super().__init__(root, names(organization_id, call_id), 2, files, then)
        self._left, self._right = Track(), Track()

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Caller audio as received, mu-law."""
        if self._file.fault:
            self._left, self._right = Track(), Track()
            return
        left = self._left
        left.put(payload, at_ms)
        if left.end - left.start >= LATE_BYTES + CHUNK_BYTES:
            self._write(left.end - LATE_BYTES)

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Agent audio as heard, mu-law."""
        if self._file.fault:
            return
        right = self._right
        right.put(payload, at_ms)
        if right.end - right.start >= 4 * LATE_BYTES:  # no more audio comes from the caller
            self._write(right.end - LATE_BYTES)

    def unrecord(self, from_ms: int) -> None:
        """Make silence of both sides from `from_ms` on, as far as it is not written yet."""
        self._left.blank(from_ms)
        self._right.blank(from_ms)

    def close(self, then: Callable[[Recording], None]) -> None:
        """Write the rest; `then` is told what is stored, and why it is not all."""
        if not self._file.fault:
            self._write(max(self._left.end, self._right.end))
        self._files.submit(self._finish, then)

    def _write(self, end: int) -> None:
        if end > self._left.start:
            self._append(interleave(self._left.take(end), self._right.take(end)))


class MessageRecorder(_Written):
    """A caller's message: WAV, 8 kHz, 16 bits, the caller alone, from `start_ms` on the call's clock."""

    def __init__(
        self,
        root: Path,
        organization_id: str,
        call_id: str,
        start_ms: int,
        names: Names = recordings.names,
        files: FileWork = INLINE,
        then: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`then` is told the file's path, or None if there is none."""
        super().__init__(root, names(organization_id, call_id), 1, files, then)
        self._track = Track(start_ms * BYTES_PER_MS)

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Caller audio as received, mu-law."""
        if not self._file.fault:
            self._track.put(payload, at_ms)
            if len(self._track.audio) >= MESSAGE_CHUNK_BYTES:
                self._append(self._track.take(self._track.end))

    def close(self, then: Callable[[Recording], None], *, kept: bool) -> None:
        """Write the rest, or remove the file; `then` is told what is stored."""
        if not kept:
            self._files.submit(self._remove, then)
            return
        if self._track.audio and not self._file.fault:
            self._append(self._track.take(self._track.end))
        self._files.submit(self._finish, then)


def _write_all(file: int, data: bytes, at: int) -> None:
    """Raises OSError; a disk that fills up takes a part first."""
    while data:
        size = os.pwrite(file, data, at)
        data, at = data[size:], at + size
