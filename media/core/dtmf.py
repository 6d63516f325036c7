"""Keypad input: keys pressed one after another become one entry, ended by a pause or by '#'."""

from dataclasses import dataclass
from typing import Final

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

    def press(self, digit: str, now_ms: float) -> None:
        self._digits += digit
        self._pressed_ms = now_ms

    def due(self, now_ms: float) -> str | None:
        """Return the entry, once it is complete."""
        if not self._digits:
            return None
        ended = self._digits.endswith("#") or len(self._digits) >= MAX_DIGITS
        if not ended and now_ms - self._pressed_ms < self.pause_ms:
            return None
        return self.take()

    def take(self) -> str:
        """Return the keys pressed so far, complete or not, and clear them."""
        digits, self._digits = self._digits, ""
        return digits
