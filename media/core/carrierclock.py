"""What the carrier's echoes tell about the way to it: one-way delay, jitter, and when things happened there.

Instants are local monotonic milliseconds.  A mark that the carrier emits on an empty queue, or at the end of audio
whose length we know, comes back after twice the one-way delay plus two jitters; the least of many such round trips is
free of jitter.  Frames of caller audio carry the carrier's own clock: the least of (arrival - timestamp) ties it to ours.
Delay is taken to be the same both ways; a difference shifts every estimate by half of it.
"""

import math
from dataclasses import dataclass, field

from media.core.audio import FRAME_MS

WINDOW_MS = 30_000.0
# The least of n round trips still holds jitter.  If each direction is late by evenly 0 to j, its expectation is
# j * sqrt(pi / 2n) (near zero the sum of two is distributed like a square, so the least follows Rayleigh), the mean is j.
_LEAST = math.sqrt(math.pi / 2)
MOST_RESIDUE = 0.6  # of the spread, while there are few
CADENCE_SLACK_MS = 5.0
_NEVER = float("inf")


@dataclass(slots=True)
class WindowedMin:
    """The least value of the last 30 to 60 s, so that a changed route is believed at last."""

    _since_ms: float = -_NEVER
    _current: float = _NEVER
    _previous: float = _NEVER
    _count: int = 0
    _counted: int = 0

    def add(self, value: float, now_ms: float) -> None:
        if now_ms - self._since_ms > WINDOW_MS:
            self._since_ms, self._previous, self._current = now_ms, self._current, value
            self._counted, self._count = self._count, 0
        elif value < self._current:
            self._current = value
        self._count += 1

    @property
    def value(self) -> float:
        return min(self._previous, self._current)

    @property
    def count(self) -> int:
        """Of how many values."""
        return self._counted + self._count


@dataclass(slots=True)
class CarrierClock:
    one_way_ms: float  # a guess, until the first round trip
    jitter_ms: float = 0.0  # the mean of one direction
    _round_trip: WindowedMin = field(default_factory=WindowedMin)
    _offset: WindowedMin = field(default_factory=WindowedMin)
    _timestamp_ms: int = -1
    _smoothed_round_trip_ms: float = 0.0

    def round_trip(self, elapsed_ms: float, now_ms: float) -> None:
        """A mark came back `elapsed_ms` after it would have, had there been no way to go."""
        if elapsed_ms < 0:
            return
        self._round_trip.add(elapsed_ms, now_ms)
        count = self._round_trip.count
        least = self._round_trip.value
        # An outlier (a stalled socket) must not teach us that jitter is normal.
        capped = min(elapsed_ms, least + 200.0)
        self._smoothed_round_trip_ms += (capped - self._smoothed_round_trip_ms) * max(1.0 / count, 0.05)
        spread = max(0.0, self._smoothed_round_trip_ms - least)
        residue = _LEAST / max(math.sqrt(count) - _LEAST, 1e-9) if count > 2 else MOST_RESIDUE
        self.one_way_ms = max(0.0, least - min(MOST_RESIDUE, residue) * spread) / 2
        self.jitter_ms = max(0.0, self._smoothed_round_trip_ms / 2 - self.one_way_ms)

    def caller_frame(self, timestamp_ms: int, now_ms: float) -> None:
        self._timestamp_ms = timestamp_ms
        self._offset.add(now_ms - timestamp_ms, now_ms)

    def arrives(self, sent_ms: float) -> float:
        """When something sent at `sent_ms` probably reaches the carrier."""
        return sent_ms + self.one_way_ms + self.jitter_ms

    def emitted_between(self, now_ms: float) -> tuple[float, float]:
        """When the carrier must have emitted what arrives now: after the last frame that came ahead of it on the same
        socket, before the next one that did not (give or take its cadence), and with the delay behind it.
        """
        latest_ms = now_ms - self.one_way_ms
        if self._timestamp_ms < 0:
            return -_NEVER, latest_ms
        earliest_ms = min(self.at(self._timestamp_ms), latest_ms)
        return earliest_ms, min(latest_ms, earliest_ms + FRAME_MS + CADENCE_SLACK_MS)

    def at(self, call_ms: float) -> float:
        """The local instant of a reading of the carrier's clock."""
        return call_ms + self._offset.value - self.one_way_ms

    def call_ms(self, instant_ms: float) -> int:
        """The carrier's clock at a local instant; 0 before the first frame has come."""
        offset = self._offset.value
        return max(0, round(instant_ms + self.one_way_ms - offset)) if offset != _NEVER else 0
