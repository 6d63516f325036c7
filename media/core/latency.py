"""Response latency at the caller's edge, and how it divides between us, the model and the network.

    voice ends ─▶ it has left for the model ─▶ turn detected ─▶ response requested ─▶ first audio ─▶ sent ─▶ heard
               ours                       model             ours               model             ours    the network's

Instants are local milliseconds.  Our share runs from when something arrives until our reaction to it is written.
"""

from dataclasses import dataclass, field

from media.core.types import LatencyMeasured


@dataclass(slots=True)
class _Wait:
    """The caller's wait for one response, so far."""

    voiced_ms: float  # the caller's voice ended at the carrier
    ours_ms: float  # our share so far
    detected_ms: float
    model_ms: float  # the model's share so far
    requested_ms: float | None = None
    delta_ms: float | None = None
    sent_ms: float | None = None
    sound_ms: float | None = None


@dataclass(slots=True)
class Latency:
    """The latencies of one call."""

    # When the caller's voice was last heard at the carrier.
    voiced_ms: float | None = None
    _arrived_ms: float = 0.0  # when that arrived here
    # When the newest voice was sent to the model; until then, an older frame's time.
    _left_ms: float = 0.0
    _wait: _Wait | None = None
    _measured: dict[str, LatencyMeasured] = field(default_factory=dict)

    def caller_voiced(self, at_ms: float, arrived_ms: float) -> None:
        """Record a voiced frame that ended at `at_ms` at the carrier and came here at `arrived_ms` at the earliest."""
        self.voiced_ms, self._arrived_ms = at_ms, arrived_ms

    def voice_sent(self, now_ms: float) -> None:
        """Record that all voiced audio so far was sent to the model."""
        self._left_ms = now_ms

    def turn_detected(self, now_ms: float) -> None:
        if self.voiced_ms is not None:
            left_ms = max(self._arrived_ms, self._left_ms)
            self._wait = _Wait(self.voiced_ms, left_ms - self._arrived_ms, now_ms, now_ms - left_ms)

    def response_requested(self, now_ms: float) -> None:
        """Record that the request for a response was written."""
        if self._wait is not None and self._wait.requested_ms is None:
            self._wait.requested_ms = now_ms

    def first_delta(self, now_ms: float) -> None:
        if self._wait is not None and self._wait.requested_ms is not None and self._wait.delta_ms is None:
            self._wait.delta_ms = now_ms

    @property
    def unsent(self) -> bool:
        """Whether the response has begun to arrive and none of it is sent."""
        return self._wait is not None and self._wait.delta_ms is not None and self._wait.sent_ms is None

    def first_sent(self, now_ms: float) -> None:
        """Record that a response's first audio was written, or queues behind audio that is already playing."""
        if self._wait is not None and self.unsent:
            self._wait.sent_ms = now_ms

    def agent_heard(self, item_id: str, of_model: bool, at_ms: float) -> None:
        """Record that an item's first sound reached the caller."""
        wait = self._wait
        if wait is None or at_ms < wait.voiced_ms:
            return
        if wait.sound_ms is None:
            wait.sound_ms = at_ms
        if not of_model or wait.requested_ms is None or wait.delta_ms is None or wait.sent_ms is None:
            return
        self._wait = None
        self._measured[item_id] = LatencyMeasured(
            turn_seq=0,
            total_ms=round(at_ms - wait.voiced_ms),
            first_sound_ms=round(wait.sound_ms - wait.voiced_ms),
            model_ms=round(wait.model_ms + wait.delta_ms - wait.requested_ms),
            ours_ms=round(wait.ours_ms + wait.requested_ms - wait.detected_ms + wait.sent_ms - wait.delta_ms),
        )

    def measured(self, item_id: str) -> LatencyMeasured | None:
        """Return the latency of the response that began with this item, once, without its `turn_seq`."""
        return self._measured.pop(item_id, None)
