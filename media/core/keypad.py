"""Keypad input: keys pressed one after another become one entry, ended by a pause or by '#'.

The model gets an entry once it is complete.  Control gets it with each key, so that no key is lost with its process.
"""

from dataclasses import dataclass
from typing import Final

from media.core.types import Digits

MAX_DIGITS: Final = 64


def entry_text(digits: str) -> str:
    """Return an entry's text for the model, without the '#' that only ended it."""
    return f"Caller entered {digits.removesuffix('#') or digits} on the keypad"


@dataclass(slots=True)
class Keypad:
    """The caller's keypad."""

    pause_ms: int = 1_500
    _digits: str = ""
    _pressed_ms: float = 0.0
    _began_ms: int = -1  # the entry, on the call's clock

    def press(self, digit: str, at_ms: int, now_ms: float) -> Digits:
        """Add a key that was pressed at `at_ms` on the call's clock; return the entry so far."""
        if not self._digits:
            # Control tells entries apart by their beginning.
            self._began_ms = max(at_ms, self._began_ms + 1)
        self._digits += digit
        self._pressed_ms = now_ms
        return Digits(self._digits, self._began_ms)

    def due(self, now_ms: float) -> str | None:
        """Return the entry and clear it, once it is complete."""
        if not self._digits:
            return None
        ended = self._digits.endswith("#") or len(self._digits) >= MAX_DIGITS
        if not ended and now_ms - self._pressed_ms < self.pause_ms:
            return None
        digits, self._digits = self._digits, ""
        return digits
