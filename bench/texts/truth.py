"""Whether what a campaign says of its recipients is what the carrier truly did.  Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: The states in which a recipient may end.
NAMED = ("sent", "delivered", "failed", "unknown", "opted_out")


@dataclass(frozen=True, slots=True)
class Audience:
    """Recipients, and those for whom something is different.

    The carrier drops its answer for `dropped` while its list is down.
    """

    all: Sequence[str]
    refused: frozenset[str]
    undelivered: frozenset[str]
    opted_out: frozenset[str]
    dropped: frozenset[str]

    @classmethod
    def of(cls, first: int, count: int) -> "Audience":
        every = [f"+1317{5000000 + n}" for n in range(first, first + count)]

        def some(place: int) -> frozenset[str]:
            return frozenset(every[place::50])

        dropped = frozenset(every[::5]) - some(1) - some(2) - some(3)
        return cls(every, some(1), some(2), some(3), dropped)

    @property
    def ordinary(self) -> frozenset[str]:
        return frozenset(self.all) - self.refused - self.undelivered - self.opted_out


@dataclass(frozen=True, slots=True)
class Found:
    """What there is in the end, by contact: what the campaign says, its counters and its messages; the texts that the carrier took,
    with their statuses, and how many left; and whose attempts had no answer when somebody was killed.
    """

    list_works: bool
    said: Mapping[str, str]
    counts: Mapping[str, int]
    messages: Mapping[str, int]
    taken: Mapping[str, Sequence[str]]
    sent: Mapping[str, int]
    in_flight: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many recipients are in which way wrong, who is unknown, and all of it as sentences."""

    twice: int = 0
    missing: int = 0
    unnamed: int = 0
    differ: int = 0
    unknown: int = 0
    may_be_unknown: str = ""
    complaints: Sequence[str] = ()


def judge(audience: Audience, found: Found) -> Verdict:
    unknown = {each for each in audience.all if found.said.get(each) == "unknown"}
    known = [each for each in audience.all if each not in unknown]
    least = frozenset[str]() if found.list_works else audience.dropped
    most = frozenset[str]() if found.list_works else audience.dropped | found.in_flight
    figures = {
        "twice": sum(found.sent[each] > 1 or len(found.taken[each]) > 1 for each in audience.all),
        "missing": sum(not found.sent[each] for each in known if each in audience.ordinary),
        "unnamed": sum(found.said.get(each) not in NAMED for each in audience.all),
        "differ": sum(found.said.get(each) not in _fits(audience, found, each) for each in known),
    }
    complaints = [f"{name}: {figure}" for name, figure in figures.items() if figure]
    if not least <= unknown <= most:
        complaints.append(f"unknown: {len(unknown - most)} too many, {len(least - unknown)} too few")
    counted = {name: count for name, count in found.counts.items() if count and name not in {"total", "duplicates"}}
    if Counter(found.said.values()) != Counter(counted):
        complaints.append(f"counters: {counted}")
    if len(found.said) != len(audience.all) or found.counts["total"] != len(audience.all):
        complaints.append("recipients are gone")
    if set(found.messages) - set(audience.all) or any(found.messages.get(each) != 1 for each in audience.ordinary):
        complaints.append("messages: not one for each recipient")
    may_be = str(len(least)) if least == most else f"{len(least)} to {len(most)}"
    return Verdict(**figures, unknown=len(unknown), may_be_unknown=may_be, complaints=tuple(complaints))


def _fits(audience: Audience, found: Found, contact: str) -> frozenset[str]:
    """What the campaign may say of a contact, by what the carrier did."""
    if contact in audience.opted_out:
        return frozenset({"opted_out"}) if not found.taken[contact] else frozenset()
    if contact in audience.refused:
        return frozenset({"failed"})
    if not found.taken[contact]:
        return frozenset()
    if contact in audience.undelivered and found.list_works:
        return frozenset({"failed"})
    return frozenset({"delivered" if found.list_works else "sent"})
