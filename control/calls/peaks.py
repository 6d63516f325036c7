"""Peaks of recordings: read where the media plane wrote them, else computed once and kept.

A recording without peaks is older than they are, was joined of several, or its process was killed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import numpy as np

from control.calls import recordings
from hum import peaks
from hum.errors import NotFound, StoreUnavailable
from hum.objects.files import GONE, Files
from hum.peaks import Array, Peaks
from hum.recordings import PEAKS
from hum.telemetry import log
from hum.wave import HEADER, SAMPLE_BYTES
from storage.recordings import RecordingRow

LOG = log(__name__)
#: So much of a recording is in memory at a time; whole peaks of two channels.
CHUNK_BYTES = 256 * peaks.SAMPLES * 2 * SAMPLE_BYTES
#: So many recordings are read at a time, by all clients of this process.
READERS = 2


class PeaksReader:
    """Reads peaks beside the loop."""

    def __init__(self, files: Files) -> None:
        self.files, self._room = files, asyncio.Semaphore(READERS)

    async def of_call(self, streams: Sequence[RecordingRow]) -> bytes:
        """As `recordings.joined`: each stream where it was in the call.  Raises NotFound when all are gone, and as that."""
        there = list[tuple[int, Array]]()
        async with self._room:
            for each, size in await recordings.sizes(self.files, streams):
                if (found := await self._of_file(each.path, size, 2)) is not None:
                    there.append((each.offset_ms, found))
        if not there:
            raise NotFound(GONE)
        return peaks.pack(_joined(there))

    async def of_message(self, stored_path: str, since: datetime) -> bytes:
        """Of a voicemail that was written at `since`.  Raises NotFound when its file is gone, NotStoredYet, StoreUnavailable."""
        size = await self.files.size(stored_path)
        if size is None:
            raise self.files.missing(since)
        async with self._room:
            found = await self._of_file(stored_path, size, 1)
        if found is None:
            raise NotFound(GONE)
        return peaks.pack(found)

    async def _of_file(self, path: str, size_bytes: int, channels: int) -> Array | None:
        """None when the recording is gone."""
        # By its size, not by its header: a process that was killed may have written one without the other.
        samples = max(0, size_bytes - HEADER.size) // (channels * SAMPLE_BYTES)
        with suppress(FileNotFoundError):
            kept = peaks.unpack(await self.files.load(path + PEAKS))
            if kept is not None and kept.shape == (channels, peaks.count(samples)):
                return kept
        try:
            made = await self._computed(path, channels, samples * channels * SAMPLE_BYTES)
        except FileNotFoundError:
            return None
        await self._keep(path, peaks.pack(made))
        return made

    async def _computed(self, path: str, channels: int, size_bytes: int) -> Array:
        made, waiting, block = Peaks(channels), bytearray(), channels * SAMPLE_BYTES
        async for chunk in self.files.read(path, HEADER.size, size_bytes, CHUNK_BYTES):
            waiting += chunk
            whole = len(waiting) // block * block
            pcm = np.frombuffer(bytes(waiting[:whole]), "<i2")
            await asyncio.to_thread(made.add, peaks.of_pcm(pcm))
            del waiting[:whole]
        return made.all()

    async def _keep(self, path: str, packed: bytes) -> None:
        """Write them beside the recording, at once; where that can't be, they are computed again."""
        try:
            await self.files.put(path + PEAKS, packed)
            if await self.files.size(path) is None:  # deleted meanwhile, and its peaks were before they were there
                await self.files.remove(path)
        except (OSError, StoreUnavailable) as error:
            LOG.warning("a recording's peaks were not kept", path=path, error=str(error))


def _joined(streams: Sequence[tuple[int, Array]]) -> Array:
    """One array of several, by the times at which they begin; a stream is heard until the next one begins."""
    begins = [round(offset_ms / peaks.MS) for offset_ms, _ in streams]
    (_, last), end = streams[-1], begins[-1] + streams[-1][1].shape[1]
    joined = np.zeros((last.shape[0], end), np.uint8)
    for begin, until, (_, each) in zip(begins, [*begins[1:], end], streams, strict=True):
        each = each[:, : until - begin]
        joined[:, begin : begin + each.shape[1]] = each
    return joined
