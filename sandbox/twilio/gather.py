"""The keys that a <Gather> collects.  Pure.  Source: Twilio's page "TwiML Voice: <Gather>".

Input ends after `numDigits` keys, at `finishOnKey`, or `timeout` seconds after the last key or the end of the nested verbs.
The first key stops the prompt.  Without a key the document continues after it, unless `actionOnEmptyResult` is true.
"""

from dataclasses import dataclass

from sandbox.twilio.twiml import Verb

DEFAULT_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Keys:
    most: int | None = None
    finish: str = "#"
    timeout_s: float = DEFAULT_TIMEOUT_S
    empty_counts: bool = False
    pressed: str = ""
    is_over: bool = False

    @classmethod
    def of(cls, verb: Verb) -> "Keys":
        most, timeout = verb.get("numDigits"), verb.get("timeout")
        return cls(
            int(most) if most.isdecimal() and int(most) else None,
            verb.get("finishOnKey", "#"),
            float(timeout) if timeout.isdecimal() else DEFAULT_TIMEOUT_S,
            verb.get("actionOnEmptyResult").lower() == "true",
        )

    def press(self, digit: str) -> None:
        if self.is_over:
            return
        if self.finish and digit in self.finish:
            self.is_over = True
            return
        self.pressed += digit
        self.is_over = self.most is not None and len(self.pressed) >= self.most

    @property
    def goes_to_action(self) -> bool:
        return bool(self.pressed) or self.empty_counts
