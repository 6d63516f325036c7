"""A finding of `hum doctor` about one thing.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

#: Of the column with the things' names.
WIDTH = 11


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: the thing in a word or two, its state, and how to fix it, empty if it is well.  Without secrets."""

    about: str
    what: str
    fix: str = ""

    @property
    def is_ok(self) -> bool:
        return not self.fix

    def line(self) -> str:
        head = f"{'ok' if self.is_ok else 'fix':<4} {self.about:<{WIDTH}}  {self.what}"
        return f"{head}: {self.fix}" if self.fix else head


def verdict(findings: Iterable[Finding]) -> str:
    """Return the last line of the output."""
    count = sum(not finding.is_ok for finding in findings)
    return f"{count} thing{'' if count == 1 else 's'} to fix." if count else "All is well."
