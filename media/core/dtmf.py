"""Keypad input: keys pressed one after another become one entry, ended by a pause or by '#'."""

from typing import Final

from media.core.recordingpauses import RecordingPauses
from media.core.types import Digits, Report

MAX_DIGITS: Final = 64


def entry_text(digits: str) -> str:
    """Return an entry's text for the model, without the '#' that only ended it."""
    return f"Caller entered {digits.removesuffix('#') or digits} on the keypad"


class Keypad:
    """The caller's keypad."""

    __slots__ = ("_digits", "_pause_ms", "_pressed_ms", "_recording_pauses")

    def __init__(self, pause_ms: int, recording_pauses: RecordingPauses) -> None:
        self._pause_ms, self._recording_pauses = pause_ms, recording_pauses
        self._digits = ""
        self._pressed_ms = 0.0

    def press(self, digit: str, now_ms: float) -> None:
        self._recording_pauses.key(now_ms)
        self._digits += digit
        self._pressed_ms = now_ms

    def due(self, now_ms: float) -> str:
        """Report and return the entry, once it is complete; "" before."""
        if not self._digits:
            return ""
        ended = self._digits.endswith("#") or len(self._digits) >= MAX_DIGITS
        if not ended and now_ms - self._pressed_ms < self._pause_ms:
            return ""
        return self.flush(now_ms)

    def flush(self, now_ms: float) -> str:
        """Report and return the keys pressed so far, complete or not, if there are any, and clear them."""
        digits, self._digits = self._digits, ""
        if digits:
            pauses = self._recording_pauses
            pauses.emit(Report(Digits(digits, pauses.clock.call_ms(now_ms))))
        return digits
