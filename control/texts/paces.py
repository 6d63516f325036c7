"""How fast a number sends texts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paces:
    """Segments a second: `of_senders` (numbers, or the carrier's accounts) those of their own, all others `segments_per_second`."""

    segments_per_second: float
    of_senders: Mapping[str, float]
    our_account: str

    def of(self, number_e164: str | None, account: str) -> float:
        """Of a number in an account; empty: ours."""
        its = self.of_senders.get(number_e164 or "") or self.of_senders.get(account or self.our_account)
        return its or self.segments_per_second
