"""The network path to the carrier, as its echoes reveal it: one-way delay, jitter, and when things happened there.

Instants are local monotonic milliseconds.  A mark that the carrier emits on an empty queue, or at the end of audio
of known length, comes back after twice the one-way delay plus two jitters; the minimum of many such round trips is
free of jitter.  Frames of caller audio carry the carrier's own clock: the minimum of (arrival - timestamp) ties it
to ours.  Delay is assumed to be the same both ways; a difference shifts every estimate by half of it.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from media.core.audio import FRAME_MS

WINDOW_MS: Final = 30_000.0
# The minimum of n round trips still contains jitter.  If each direction's delay is uniform in 0 to j, its expectation
# is j * sqrt(pi / 2n) (near zero the sum of two has a quadratic CDF, so the minimum follows Rayleigh); the mean is j.
_LEAST = math.sqrt(math.pi / 2)
MOST_RESIDUE: Final = 0.6  # of the spread, at few round trips
ENOUGH_FRAMES: Final = 10
ENOUGH_ROUND_TRIPS: Final = 16
SMOOTHED_FRAMES: Final = 100
MOST_LATE_MS: Final = 1_000.0
#: Times the mean of one direction: twice what an even spread allows.
MOST_JITTER: Final = 4
SAMPLED: Final = 8  # later on, every eighth frame is enough
_NEVER: Final = float("inf")
#: The delay of one direction, until the first round trip.
ONE_WAY_GUESS_MS: Final = 40.0


@dataclass(slots=True)
class WindowedMin:
    """The minimum of the last 30 to 60 s, so that a changed route is noticed eventually."""

    value: float = _NEVER
    until_ms: float = -_NEVER  # expiry of the previous minimum
    _current: float = _NEVER
    _previous: float = _NEVER
    _count: int = 0
    _counted: int = 0

    def add(self, value: float, now_ms: float) -> None:
        self._count += 1
        if now_ms > self.until_ms:
            self.until_ms, self._previous, self._current = now_ms + WINDOW_MS, self._current, value
            self._counted, self._count = self._count - 1, 1
        elif value >= self._current:
            return
        else:
            self._current = value
        self.value = min(self._previous, self._current)

    @property
    def count(self) -> int:
        """The number of values it is the minimum of."""
        return self._counted + self._count


@dataclass(slots=True)
class CarrierClock:
    """The carrier's clock and the delay to it."""

    one_way_ms: float = ONE_WAY_GUESS_MS
    jitter_ms: float = 0.0  # the mean of one direction
    # Estimated jitter left in the shortest round trip: the uncertainty of the delay.
    doubt_ms: float = 0.0
    # The local instant at which the carrier's clock began; 0 until its first frame has come.
    base_ms: float = 0.0
    _round_trip: WindowedMin = field(default_factory=WindowedMin)
    _offset: WindowedMin = field(default_factory=WindowedMin)
    _timestamp_ms: int = -1
    _smoothed_round_trip_ms: float = 0.0
    _frames: int = 0
    _late_ms: float = 0.0  # mean lateness of caller frames

    def round_trip(self, elapsed_ms: float, now_ms: float) -> None:
        """Learn from a mark that came back `elapsed_ms` later than it would have with no network delay."""
        if elapsed_ms < 0:
            return
        self._round_trip.add(elapsed_ms, now_ms)
        # An outlier (a stalled socket) must not raise the jitter estimate much.
        capped_ms = min(elapsed_ms, self._round_trip.value + 200.0)
        weight = max(1.0 / self._round_trip.count, 0.05)
        self._smoothed_round_trip_ms += (capped_ms - self._smoothed_round_trip_ms) * weight
        self._estimate()

    def caller_frame(self, timestamp_ms: int, now_ms: float) -> None:
        """Learn jitter from a frame's lateness.  Frames are sent evenly, and fifty a second reveal jitter first."""
        self._timestamp_ms = timestamp_ms
        offset_ms, offset = now_ms - timestamp_ms, self._offset
        if offset_ms < offset.value or now_ms > offset.until_ms:
            offset.add(offset_ms, now_ms)
            self._tie()
        self._frames = frames = self._frames + 1
        if frames > SMOOTHED_FRAMES and frames % SAMPLED:
            return
        late_ms = min(offset_ms - offset.value, 4 * self._late_ms + 10.0)  # a stall is not jitter
        self._late_ms += (late_ms - self._late_ms) / min(frames, SMOOTHED_FRAMES)
        if frames % ENOUGH_FRAMES == 0:
            self._estimate()

    def _estimate(self) -> None:
        count, least_ms = self._round_trip.count, self._round_trip.value
        if not count:
            return
        residue, spread_ms = _LEAST / math.sqrt(count), self._smoothed_round_trip_ms - least_ms
        if self._frames >= ENOUGH_FRAMES:
            self.doubt_ms = min(1.0, residue) * 2 * self._late_ms
        elif count > 2:
            self.doubt_ms = min(MOST_RESIDUE, residue / max(1 - residue, 1e-9)) * spread_ms
        else:
            self.doubt_ms = MOST_RESIDUE * spread_ms
        self.one_way_ms = max(0.0, least_ms - self.doubt_ms) / 2
        mean_ms = self._smoothed_round_trip_ms / 2 - self.one_way_ms
        self.jitter_ms = self._late_ms if self._frames >= ENOUGH_FRAMES else max(0.0, mean_ms)
        self._tie()

    def _tie(self) -> None:
        if self._timestamp_ms >= 0:
            self.base_ms = self._offset.value - self.one_way_ms

    @property
    def tied(self) -> bool:
        """Whether the carrier's clock is known."""
        return self._timestamp_ms >= 0

    @property
    def well_known(self) -> bool:
        """Whether enough round trips have been measured."""
        return self._round_trip.count >= ENOUGH_ROUND_TRIPS

    def arrives(self, sent_ms: float) -> float:
        """Return when something sent at `sent_ms` probably reaches the carrier."""
        return sent_ms + self.one_way_ms + self.jitter_ms

    def emitted_between(self, now_ms: float) -> tuple[float, float]:
        """Return the bounds, on the carrier's clock, of when it must have emitted what arrives now.

        That is after the last frame that preceded it on the same socket, before the next frame, and at least the
        one-way delay ago; on a line with little jitter, hardly longer ago than that.
        """
        latest_ms = now_ms - self.one_way_ms - self.base_ms
        if self._timestamp_ms < 0:
            return -_NEVER, latest_ms
        earliest_ms = min(float(self._timestamp_ms), latest_ms)
        next_ms = earliest_ms + FRAME_MS
        if latest_ms > next_ms:  # the socket was stalled
            return earliest_ms, next_ms
        return max(earliest_ms, latest_ms - MOST_JITTER * self.jitter_ms - 2 * self.doubt_ms), latest_ms

    def arrival(self, call_ms: float, now_ms: float) -> float:
        """Return the earliest local instant at which something read now can have arrived.

        It left at `call_ms` on the carrier's clock, and took as long as the fastest frame.  At most MOST_LATE_MS
        ago: no network path is slower than that.
        """
        return max(call_ms + self._offset.value, now_ms - MOST_LATE_MS)

    def at(self, call_ms: float) -> float:
        """Return the local instant for a reading of the carrier's clock."""
        return call_ms + self.base_ms

    def call_ms(self, instant_ms: float) -> int:
        """Return the carrier's clock at a local instant; 0 before the first frame has come."""
        return max(0, round(instant_ms - self.base_ms)) if self._timestamp_ms >= 0 else 0
