"""Paces at the carrier: one for all accounts or numbers, and others for some."""

from collections.abc import Mapping
from typing import NamedTuple

from hum.settings.base import listed


class PaceTable(NamedTuple):
    """What may be sent or placed in a second: by default, and by account or number."""

    default: float
    of: Mapping[str, float]


def parse_paces(text: str, most: float) -> PaceTable:
    """Parse `1,AC1=5,+13175550100=2.5`, without a bare number 1 by default.  Raises ValueError."""
    default, of = 1.0, dict[str, float]()
    for word in listed(text):
        sender, is_pair, number = (part.strip() for part in word.rpartition("="))
        try:
            pace = float(number)
        except ValueError:
            pace = 0.0
        if not 0 < pace <= most or bool(is_pair) != bool(sender):
            raise ValueError(
                f"{word!r} is neither a number up to {most:g} nor an account or number and its pace, like AC...=5"
            )
        if sender:
            of[sender] = pace
        else:
            default = pace
    return PaceTable(default, of)
