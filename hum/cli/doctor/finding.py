"""What `hum doctor` says of one thing.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

#: Of the things' names.
WIDTH = 11


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: the thing, a word or two; `what`: how it is; `fix`: what to do, empty if it is well.  Neither has secrets."""

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
    """The last line."""
    wrong = sum(not each.is_ok for each in findings)
    return f"{wrong} thing{'' if wrong == 1 else 's'} to fix." if wrong else "All is well."
