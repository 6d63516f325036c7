"""Answering machine detection: classifies the answering party by its sound.  Pure; each call of `frame` is 20 ms of audio.

The thresholds, their ranges and defaults are those of Twilio's page "Answering Machine Detection": speech longer
than the speech threshold is a machine, shorter speech followed by `speech_end_ms` of quiet is a human, `silence_ms`
without a sound at the beginning is `unknown`, and so is the timeout.  That page leaves two values open: the
quiet that ends a greeting without a beep (here END_OF_GREETING_MS), and the verdict on a greeting that outlasts the
timeout (here `machine_end_other`).
"""

from dataclasses import dataclass
from typing import Literal

from sandbox.audio import FRAME_MS, is_audible
from sandbox.twilio.tones import FAX_ANSWER_HZ, FAX_CALLER_HZ, pitch_hz

AnsweredBy = Literal[
    "human", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"
]

BEEP_MS, FAX_MS = 120, 400
#: Tones in this range are reported as a beep; any other tone ends a greeting without one.
BEEP_LOW_HZ, BEEP_HIGH_HZ = 350, 1_900
SAME_PITCH_HZ, FAX_WITHIN_HZ = 60, 30
END_OF_GREETING_MS = 2_500
AFTER_ODD_TONE_MS = 500


@dataclass(frozen=True, slots=True)
class Amd:
    """Twilio's MachineDetection parameters of a call."""

    until_end: bool = False
    """DetectMessageEnd: report a machine when its greeting is over."""
    timeout_ms: int = 30_000
    speech_ms: int = 2_400
    speech_end_ms: int = 1_200
    silence_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class AmdResult:
    answered_by: AnsweredBy
    duration_ms: int


class Detector:
    def __init__(self, amd: Amd) -> None:
        self._amd = amd
        self._at_ms = 0
        self._spoke_from_ms: int | None = None
        self._spoke_until_ms = 0
        self._is_machine = False
        self._tone_hz = 0.0
        self._tone_ms = 0
        self._had_odd_tone = False

    def frame(self, ulaw: bytes) -> AmdResult | None:
        """Classify the next 20 ms of the answering party; a verdict ends the detection."""
        self._at_ms += FRAME_MS
        answered_by = self._listen(ulaw) or self._wait()
        return AmdResult(answered_by, self._at_ms) if answered_by else None

    def hang_up(self) -> AmdResult:
        """Return the verdict for a party that hung up before there was one."""
        return AmdResult("machine_end_other" if self._is_machine else "unknown", self._at_ms)

    def _listen(self, ulaw: bytes) -> AnsweredBy | None:
        hz = pitch_hz(ulaw)
        if hz is not None:
            same = self._tone_ms > 0 and abs(hz - self._tone_hz) <= SAME_PITCH_HZ
            self._tone_ms, self._tone_hz = (self._tone_ms if same else 0) + FRAME_MS, hz
            return "fax" if self._tone_ms >= FAX_MS and self._is_fax() else None
        beeped = self._tone_ms >= BEEP_MS
        self._tone_ms = 0
        if beeped and (end := self._after_tone()):
            return end
        if is_audible(ulaw):
            if self._spoke_from_ms is None:
                self._spoke_from_ms = self._at_ms - FRAME_MS
            self._spoke_until_ms = self._at_ms
        return None

    def _is_fax(self) -> bool:
        return any(abs(self._tone_hz - fax_hz) <= FAX_WITHIN_HZ for fax_hz in (FAX_ANSWER_HZ, FAX_CALLER_HZ))

    def _after_tone(self) -> AnsweredBy | None:
        if not self._amd.until_end:
            return "machine_start"
        if BEEP_LOW_HZ <= self._tone_hz <= BEEP_HIGH_HZ:
            return "machine_end_beep"
        self._is_machine = self._had_odd_tone = True
        self._spoke_until_ms = self._at_ms
        return None

    def _wait(self) -> AnsweredBy | None:
        amd = self._amd
        quiet_ms = 0 if self._tone_ms else self._at_ms - self._spoke_until_ms
        if self._spoke_from_ms is not None and self._spoke_until_ms - self._spoke_from_ms > amd.speech_ms:
            if not amd.until_end:
                return "machine_start"
            self._is_machine = True
        if self._is_machine:
            if self._had_odd_tone and quiet_ms >= AFTER_ODD_TONE_MS:
                return "machine_end_other"
            if quiet_ms >= max(END_OF_GREETING_MS, amd.speech_end_ms):
                return "machine_end_silence"
        elif self._spoke_from_ms is not None and quiet_ms >= amd.speech_end_ms:
            return "human"
        elif self._spoke_from_ms is None and not self._tone_ms and self._at_ms >= amd.silence_ms:
            return "unknown"
        if self._at_ms >= amd.timeout_ms:
            return "machine_end_other" if self._is_machine else "unknown"
        return None
