"""The paces of numbers that send texts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paces:
    """Paces in segments per second: `of_senders` by number or carrier account, `segments_per_second` for all others."""

    segments_per_second: float
    of_senders: Mapping[str, float]
    our_account: str

    def of(self, number_e164: str | None, account: str) -> float:
        """Return the pace of a number in a carrier account; an empty account is ours."""
        own = self.of_senders.get(number_e164 or "") or self.of_senders.get(account or self.our_account)
        return own or self.segments_per_second
