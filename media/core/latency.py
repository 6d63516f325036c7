"""How long the caller waited for an answer, at the caller's edge: instants at the carrier, in local milliseconds."""

from dataclasses import dataclass, field

from media.core.types import LatencyMeasured


@dataclass(slots=True)
class _Wait:
    voiced_ms: float
    detected_ms: float
    asked_ms: float | None = None
    delta_ms: float | None = None
    sent_ms: float | None = None
    sound_ms: float | None = None


@dataclass(slots=True)
class Latency:
    voiced_ms: float | None = None  # the caller was last heard then
    _wait: _Wait | None = None
    _measured: dict[str, LatencyMeasured] = field(default_factory=dict)

    def caller_voiced(self, at_ms: float) -> None:
        """The caller's voice, heard at the carrier until then."""
        self.voiced_ms = at_ms

    def turn_detected(self, now_ms: float) -> None:
        if self.voiced_ms is not None:
            self._wait = _Wait(self.voiced_ms, now_ms)

    def asked(self, now_ms: float) -> None:
        if self._wait is not None and self._wait.asked_ms is None:
            self._wait.asked_ms = now_ms

    def first_delta(self, now_ms: float) -> None:
        if self._wait is not None and self._wait.asked_ms is not None and self._wait.delta_ms is None:
            self._wait.delta_ms = now_ms

    def first_sent(self, now_ms: float) -> None:
        if self._wait is not None and self._wait.delta_ms is not None and self._wait.sent_ms is None:
            self._wait.sent_ms = now_ms

    def agent_heard(self, item_id: str, of_model: bool, at_ms: float) -> None:
        """An item's first sound reached the caller."""
        wait = self._wait
        if wait is None or at_ms < wait.voiced_ms:
            return
        if wait.sound_ms is None:
            wait.sound_ms = at_ms
        if not of_model or wait.asked_ms is None or wait.delta_ms is None or wait.sent_ms is None:
            return
        self._wait = None
        self._measured[item_id] = LatencyMeasured(
            turn_seq=0,
            total_ms=round(at_ms - wait.voiced_ms),
            first_sound_ms=round(wait.sound_ms - wait.voiced_ms),
            endpoint_ms=round(wait.detected_ms - wait.voiced_ms),
            model_ms=round(wait.delta_ms - wait.asked_ms),
            ours_ms=round(wait.asked_ms - wait.detected_ms + wait.sent_ms - wait.delta_ms),
        )

    def measured(self, item_id: str) -> LatencyMeasured | None:
        """What the answer took that began with this item; `turn_seq` is for the caller to fill in."""
        return self._measured.pop(item_id, None)
