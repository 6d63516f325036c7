"""Peaks of recordings: read where the media plane wrote them, else computed once and stored.

A recording without peaks is older than that feature, was joined from several, or its process was killed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import numpy as np

from control.calls import recordings
from hum import peaks
from hum.contract.errors import NotFound, StoreUnavailable
from hum.objects.files import GONE, Files
from hum.observe.logs import log
from hum.peaks import Array, Peaks
from hum.recordings import PEAKS
from hum.wave import HEADER, SAMPLE_BYTES
from storage.recordings import RecordingRow

LOG = log(__name__)
#: How much of a recording is in memory at a time; whole peaks of two channels.
CHUNK_BYTES = 256 * peaks.SAMPLES * 2 * SAMPLE_BYTES
#: How many recordings are read at a time, for all clients of this process.
MAX_READERS = 2


class PeaksReader:
    """Reads of peaks, computed outside the event loop."""

    def __init__(self, files: Files) -> None:
        self.files, self._concurrency = files, asyncio.Semaphore(MAX_READERS)

    async def of_call(self, streams: Sequence[RecordingRow]) -> bytes:
        """Return the packed peaks of a call, each stream at its time as in `recordings.joined`.

        Raises NotFound if all recordings are gone, and the errors of `recordings.joined`.
        """
        loaded = list[tuple[int, Array]]()
        async with self._concurrency:
            for row, size in await recordings.sizes(self.files, streams):
                if (channel_peaks := await self._load(row.path, size, 2)) is not None:
                    loaded.append((row.offset_ms, channel_peaks))
        if not loaded:
            raise NotFound(GONE)
        return peaks.pack(_join(loaded))

    async def of_message(self, stored_path: str, since: datetime) -> bytes:
        """Return the packed peaks of a voicemail that was written at `since`.

        Raises NotFound if its file is gone, NotStoredYet, StoreUnavailable.
        """
        size = await self.files.size(stored_path)
        if size is None:
            raise self.files.missing(since)
        async with self._concurrency:
            channel_peaks = await self._load(stored_path, size, 1)
        if channel_peaks is None:
            raise NotFound(GONE)
        return peaks.pack(channel_peaks)

    async def _load(self, path: str, size_bytes: int, channels: int) -> Array | None:
        """Load or compute a recording's peaks; return None if the recording is gone."""
        # By the size, not by the header: a process that was killed may not have updated the header.
        samples = max(0, size_bytes - HEADER.size) // (channels * SAMPLE_BYTES)
        with suppress(FileNotFoundError):
            stored = peaks.unpack(await self.files.load(path + PEAKS))
            if stored is not None and stored.shape == (channels, peaks.count(samples)):
                return stored
        try:
            computed = await self._compute(path, channels, samples * channels * SAMPLE_BYTES)
        except FileNotFoundError:
            return None
        await self._store(path, peaks.pack(computed))
        return computed

    async def _compute(self, path: str, channels: int, size_bytes: int) -> Array:
        computed, buffer, block = Peaks(channels), bytearray(), channels * SAMPLE_BYTES
        async for chunk in self.files.read(path, HEADER.size, size_bytes, CHUNK_BYTES):
            buffer += chunk
            whole = len(buffer) // block * block
            pcm = np.frombuffer(bytes(buffer[:whole]), "<i2")
            await asyncio.to_thread(computed.add, peaks.of_pcm(pcm))
            del buffer[:whole]
        return computed.all()

    async def _store(self, path: str, packed: bytes) -> None:
        """Write peaks beside their recording; if that fails, the next request computes them again."""
        try:
            await self.files.put(path + PEAKS, packed)
            # If the recording was deleted meanwhile, its peaks were deleted before they were written.
            if await self.files.size(path) is None:
                await self.files.remove(path)
        except (OSError, StoreUnavailable) as error:
            LOG.warning("could not store a recording's peaks", path=path, error=str(error))


def _join(streams: Sequence[tuple[int, Array]]) -> Array:
    """Join the peaks of several streams by their offsets in ms; each stream lasts until the next one begins."""
    begins = [round(offset_ms / peaks.MS) for offset_ms, _ in streams]
    (_, last), end = streams[-1], begins[-1] + streams[-1][1].shape[1]
    joined = np.zeros((last.shape[0], end), np.uint8)
    for begin, until, (_, part) in zip(begins, [*begins[1:], end], streams, strict=True):
        part = part[:, : until - begin]
        joined[:, begin : begin + part.shape[1]] = part
    return joined
