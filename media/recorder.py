"""WAV recorders on the call's clock: a call's recording (caller left, agent right), and a message (the caller alone).

Both are 8 kHz, 16 bits.  PCM is twice the size of mu-law, but every browser and every transcription service accepts it.
Byte 0 of a recording's audio is 0 ms on the call's clock, so that a turn's `start_ms` is its position in the file.  Where
no audio came, and before the announcement was heard, the file is silent.  Audio older than a few seconds is on disk, and the
header is correct after each write: a process that is killed leaves a playable file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from hum import peaks, recordings
from hum.observe.logs import log
from hum.peaks import Peaks
from hum.process import private
from hum.wave import HEADER, SAMPLE_BYTES, header
from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, interleave, to_linear, to_ms
from media.io.filework import HANGS, FileWork, InlineFileWork
from media.reports import Recording

LOG = log(__name__)
Names = Callable[[str, str], Iterator[str]]
"""(organization's id, call's id) -> candidate names of the file; the first free one is used."""
INLINE = InlineFileWork()
#: Timestamps are rounded: a smaller gap or overlap counts as none.
SLACK_BYTES = 10 * BYTES_PER_MS
#: How late audio may arrive.
LATE_BYTES = 2_500 * BYTES_PER_MS
CHUNK_BYTES = 1_000 * BYTES_PER_MS
#: What a killed process loses of a message.
MESSAGE_CHUNK_BYTES = 500 * BYTES_PER_MS
#: Audio with a timestamp further ahead than this is dropped.
MAX_GAP_MS = 60_000
#: The height of each mu-law sample.
HEIGHTS = peaks.of_pcm(np.frombuffer(to_linear(bytes(range(256))), np.int16)).tobytes()


class Track:
    """One channel's mu-law audio that is not written yet; `start` and `end` are in bytes since 0 ms of the call."""

    __slots__ = ("audio", "start")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.audio = bytearray()

    @property
    def end(self) -> int:
        return self.start + len(self.audio)

    def put(self, payload: bytes, at_ms: int) -> None:
        """Add audio at its time: pad a gap with silence, drop an overlap, and ignore audio beyond `MAX_GAP_MS`."""
        at, end = at_ms * BYTES_PER_MS, self.end
        if not -SLACK_BYTES <= at - end <= SLACK_BYTES:
            if at_ms - to_ms(end) > MAX_GAP_MS:
                return
            payload = payload[max(0, end - at) :]
            self.audio += SILENCE_BYTE * (at - end)
        self.audio += payload

    def blank(self, at_ms: int) -> None:
        """Silence the buffered audio from `at_ms` on."""
        first = max(0, at_ms * BYTES_PER_MS - self.start)
        self.audio[first:] = SILENCE_BYTE * max(0, len(self.audio) - first)

    def take(self, end: int) -> bytes:
        """Remove and return the audio before `end`, padded with silence up to there."""
        size = end - self.start
        piece = bytes(self.audio[:size]).ljust(size, SILENCE_BYTE)
        del self.audio[:size]
        self.start = end
        return piece


class WavFile:
    """A WAV file with a correct header after each write.

    No method raises: a full disk ends the file, with `fault` as the reason, and not the call.  Methods that open, write
    or close block on the disk; a caller that must not block submits them to a `FileWork`.
    """

    def __init__(self, root: Path, channels: int) -> None:
        self._root, self._channels = root, channels
        self._path = root
        self._file = -1
        self.samples = 0  # per channel, in the file
        self._peaks = Peaks(channels)
        self.fault = ""

    def open(self, names: Iterator[str]) -> str | None:
        """Create the file under the first free name; return its path, or None if that fails."""
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
        """The path relative to the recordings' root."""
        return self._path.relative_to(self._root).as_posix()

    @property
    def size_bytes(self) -> int:
        return HEADER.size + self._data_bytes(self.samples)

    def append(self, ulaw: bytes) -> None:
        """Append interleaved mu-law audio as PCM; drop it once a write has failed."""
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
        """Close the complete file, and write its peaks beside it; a reader that finds none computes them."""
        if self._file < 0:
            return
        self.close()
        path = peaks.path_for(self._path)
        try:
            with open(path, "wb", opener=private.opener) as file:
                file.write(peaks.pack(self._peaks.all()))
        except OSError as error:
            LOG.warning("could not write a recording's peaks", path=str(path), error=str(error))
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1

    @property
    def descriptor(self) -> int:
        """The descriptor of the open file; the file's lock belongs to it and moves with it."""
        return self._file

    def adopt(self, descriptor: int) -> None:
        """Continue writing in this process, through this descriptor."""
        self._file = descriptor

    def remove(self) -> None:
        """Close and delete the open file."""
        if self._file >= 0:
            with suppress(OSError):
                self._path.unlink()
            self.close()

    def stored(self) -> Recording:
        """Return what the file contains, and the fault that cut it short, if any."""
        if self.fault and not self.samples:
            return Recording("", 0, 0, self.fault)
        return Recording(self.path, to_ms(self.samples), self.size_bytes, self.fault)

    def _data_bytes(self, samples: int) -> int:
        return samples * self._channels * SAMPLE_BYTES

    def _create(self, names: Iterator[str]) -> int:
        for name in names:
            self._path = self._root / name
            private.directory(self._path.parent)
            # The name may belong to an earlier stream of the same call.
            with suppress(FileExistsError):
                file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private.FILE)
                # The lock keeps the uploader away until the file is closed or this process is dead.
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
        raise AssertionError("there is always another name")

    def _failed(self, error: OSError) -> None:
        """End the file at the last complete write; remove it if nothing was written."""
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
    """A recorder's file, which a `FileWork` writes."""

    def __init__(self, file: WavFile, files: FileWork) -> None:
        self._file, self._files = file, files

    def _open(self, names: Iterator[str], then: Callable[[str | None], None]) -> None:
        """Create the file; `then` gets its path, or None if that failed."""
        self._files.submit(partial(self._file.open, names), then)

    @property
    def path(self) -> str | None:
        """The path relative to the recordings' root; None if no file is open."""
        return self._file.path if self._file.is_open else None

    @property
    def descriptor(self) -> int:
        """The descriptor of the open file."""
        return self._file.descriptor

    def adopt(self, descriptor: int) -> None:
        """Continue writing in this process."""
        self._file.adopt(descriptor)

    def detach(self) -> None:
        """Close this process's descriptor: another process continues the file."""
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

    def __init__(self, file: WavFile, files: FileWork) -> None:
        super().__init__(file, files)
        self._left, self._right = Track(), Track()

    @classmethod
    def open(
        cls,
        root: Path,
        organization_id: str,
        call_id: str,
        names: Names = recordings.names,
        files: FileWork = INLINE,
        then: Callable[[str | None], None] = lambda _: None,
    ) -> "Recorder":
        """Begin a recording and create its file; `then` gets its path, or None if that failed."""
        recorder = cls(WavFile(root, 2), files)
        recorder._open(names(organization_id, call_id), then)
        return recorder

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Record mu-law audio of the caller as received."""
        if self._file.fault:
            self._left, self._right = Track(), Track()
            return
        left = self._left
        left.put(payload, at_ms)
        if left.end - left.start >= LATE_BYTES + CHUNK_BYTES:
            self._write(left.end - LATE_BYTES)

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Record mu-law audio of the agent as heard."""
        if self._file.fault:
            return
        right = self._right
        right.put(payload, at_ms)
        # Normally the caller's audio drives the writes; this is for a call in which it has stopped coming.
        if right.end - right.start >= 4 * LATE_BYTES:
            self._write(right.end - LATE_BYTES)

    def unrecord(self, from_ms: int) -> None:
        """Silence both sides from `from_ms` on, as far as they are not written yet."""
        self._left.blank(from_ms)
        self._right.blank(from_ms)

    def close(self, then: Callable[[Recording], None]) -> None:
        """Write the rest; `then` gets what is stored, and the fault that cut it short, if any."""
        if not self._file.fault:
            self._write(max(self._left.end, self._right.end))
        self._files.submit(self._finish, then)

    def _write(self, end: int) -> None:
        if end > self._left.start:
            self._append(interleave(self._left.take(end), self._right.take(end)))


class MessageRecorder(_Written):
    """A caller's message: WAV, 8 kHz, 16 bits, the caller alone, from `start_ms` on the call's clock."""

    def __init__(self, file: WavFile, files: FileWork, start_ms: int = 0) -> None:
        super().__init__(file, files)
        self._track = Track(start_ms * BYTES_PER_MS)

    @classmethod
    def open(
        cls,
        root: Path,
        organization_id: str,
        call_id: str,
        start_ms: int,
        names: Names = recordings.names,
        files: FileWork = INLINE,
        then: Callable[[str | None], None] = lambda _: None,
    ) -> "MessageRecorder":
        """Begin a message and create its file; `then` gets its path, or None if that failed."""
        recorder = cls(WavFile(root, 1), files, start_ms)
        recorder._open(names(organization_id, call_id), then)
        return recorder

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Record mu-law audio of the caller as received."""
        if not self._file.fault:
            self._track.put(payload, at_ms)
            if len(self._track.audio) >= MESSAGE_CHUNK_BYTES:
                self._append(self._track.take(self._track.end))

    def close(self, then: Callable[[Recording], None], *, kept: bool) -> None:
        """Write the rest, or remove the file unless `kept`; `then` gets what is stored."""
        if not kept:
            self._files.submit(self._remove, then)
            return
        if self._track.audio and not self._file.fault:
            self._append(self._track.take(self._track.end))
        self._files.submit(self._finish, then)


def _write_all(file: int, data: bytes, at: int) -> None:
    """Write all of `data` at this offset: a disk that fills up accepts a part first.  Raises OSError."""
    while data:
        size = os.pwrite(file, data, at)
        data, at = data[size:], at + size
