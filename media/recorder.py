"""A call's recording: WAV, 8 kHz, 16 bits, caller left, agent right, on the call's clock.

PCM and not mu-law, though it is twice the size: every browser and every transcription service accepts it.  Byte 0 of
the audio is 0 ms on the call's clock, so that a turn's `start_ms` is its position in the file; there is silence before
the announcement was heard, and wherever no audio came.  Everything older than a few seconds is on disk, and the header
is correct after each write: a process that is killed leaves a playable file.
"""

import os
import struct
from contextlib import suppress
from pathlib import Path

from hum import private
from hum.telemetry import log
from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, interleave, to_linear, to_ms
from media.reports import Recording

LOG = log(__name__)
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
RATE, CHANNELS, SAMPLE_BYTES = 8_000, 2, 2
BLOCK = CHANNELS * SAMPLE_BYTES
SLACK_BYTES = 10 * BYTES_PER_MS  # timestamps are rounded: a smaller gap or overlap counts as none
LATE_BYTES = 2_500 * BYTES_PER_MS  # how late a piece may still come
CHUNK_BYTES = 1_000 * BYTES_PER_MS
MAX_GAP_MS = 60_000  # audio with a timestamp further ahead than this is dropped


def header(data_bytes: int) -> bytes:
    """The 44 bytes before `data_bytes` of audio (WAVE_FORMAT_PCM)."""
    fmt = (16, 1, CHANNELS, RATE, RATE * BLOCK, BLOCK, 8 * SAMPLE_BYTES)
    return HEADER.pack(b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", *fmt, b"data", data_bytes)


class Track:
    """One channel's mu-law audio from `start` on, in bytes since 0 ms of the call."""

    __slots__ = ("audio", "start")

    def __init__(self) -> None:
        self.start = 0
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

    def take(self, upto: int) -> bytes:
        """Remove and return the audio before `upto`, padded with silence."""
        size = upto - self.start
        taken = bytes(self.audio[:size]).ljust(size, SILENCE_BYTE)
        del self.audio[:size]
        self.start = upto
        return taken


class Recorder:
    """One file.  Nothing here raises: a full disk ends the recording, with a reason in the call's record, not the call."""

    def __init__(self, root: Path, organization_id: str, call_id: str) -> None:
        self._root = root
        self._left, self._right = Track(), Track()
        self._written = 0  # mu-law bytes per channel that are in the file
        self._path = root / organization_id / f"{call_id}.wav"
        self._file = -1
        self._fault = ""
        try:
            self._file = self._create(call_id)
            _write_all(self._file, header(0), 0)
        except OSError as error:
            self._failed(error)

    def caller(self, payload: bytes, at_ms: int) -> None:
        """Caller audio as received, mu-law."""
        if self._file < 0:
            return
        left = self._left
        left.put(payload, at_ms)
        if left.end - self._written >= LATE_BYTES + CHUNK_BYTES:
            self._write(left.end - LATE_BYTES)

    def agent(self, payload: bytes, at_ms: int) -> None:
        """Agent audio as heard, mu-law."""
        if self._file < 0:
            return
        right = self._right
        right.put(payload, at_ms)
        if right.end - self._written >= 4 * LATE_BYTES:  # no more audio comes from the caller
            self._write(right.end - LATE_BYTES)

    def close(self) -> Recording:
        """Write the rest; return what is stored, and why it is not all."""
        self._write(max(self._left.end, self._right.end))
        self._close_file()
        if self._fault and not self._written:
            return Recording("", 0, 0, self._fault)
        path = self._path.relative_to(self._root).as_posix()
        return Recording(path, to_ms(self._written), HEADER.size + self._written * BLOCK, self._fault)

    def _create(self, call_id: str) -> int:
        private.directory(self._path.parent)
        number = 1
        while True:
            try:
                return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private.FILE)
            except FileExistsError:  # an earlier stream of the same call
                number += 1
                self._path = self._path.with_name(f"{call_id}.{number}.wav")

    def _write(self, upto: int) -> None:
        if self._file < 0 or upto <= self._written:
            return
        sound = to_linear(interleave(self._left.take(upto), self._right.take(upto)))
        try:
            _write_all(self._file, sound, HEADER.size + self._written * BLOCK)
            _write_all(self._file, header(upto * BLOCK), 0)
        except OSError as error:
            self._failed(error)
        else:
            self._written = upto

    def _failed(self, error: OSError) -> None:
        """Keep what was written before; no file at all if that is nothing."""
        self._fault = error.strerror or str(error)
        self._left, self._right = Track(), Track()
        LOG.error("recording failed", path=str(self._path), error=str(error))
        if self._file < 0:
            return
        with suppress(OSError):
            if self._written:
                os.ftruncate(self._file, HEADER.size + self._written * BLOCK)
            else:
                self._path.unlink()
        self._close_file()

    def _close_file(self) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1


def _write_all(file: int, data: bytes, at: int) -> None:
    """Raises OSError; a disk that fills up takes a part first."""
    while data:
        size = os.pwrite(file, data, at)
        data, at = data[size:], at + size
