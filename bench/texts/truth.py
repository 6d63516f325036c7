"""The comparison of a campaign's states with the texts that the carrier sent.  Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Final states of a recipient.
NAMED = ("sent", "delivered", "failed", "unknown", "opted_out")


@dataclass(frozen=True, slots=True)
class Recipients:
    """Recipients, and the groups with special treatment.

    The carrier drops its response for `dropped` while its list is down.
    """

    all: Sequence[str]
    refused: frozenset[str]
    undelivered: frozenset[str]
    opted_out: frozenset[str]
    dropped: frozenset[str]

    @classmethod
    def of(cls, first: int, count: int) -> "Recipients":
        every = [f"+1317{5000000 + n}" for n in range(first, first + count)]

        def some(place: int) -> frozenset[str]:
            return frozenset(every[place::50])

        dropped = frozenset(every[::5]) - some(1) - some(2) - some(3)
        return cls(every, some(1), some(2), some(3), dropped)

    @property
    def ordinary(self) -> frozenset[str]:
        return frozenset(self.all) - self.refused - self.undelivered - self.opted_out


@dataclass(frozen=True, slots=True)
class Outcome:
    """The final state by contact.

    The campaign has reported states, counters and messages; the carrier has the accepted texts with their statuses, and how many it
    sent; `in_flight` are recipients whose attempts had no response at a kill.
    """

    list_works: bool
    reported: Mapping[str, str]
    counts: Mapping[str, int]
    messages: Mapping[str, int]
    accepted: Mapping[str, Sequence[str]]
    sent: Mapping[str, int]
    in_flight: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Violations:
    """Number of recipients by kind of violation, the unknown ones, and all violations as sentences."""

    twice: int = 0
    missing: int = 0
    unnamed: int = 0
    differ: int = 0
    unknown: int = 0
    may_be_unknown: str = ""
    complaints: Sequence[str] = ()


def judge(audience: Recipients, outcome: Outcome) -> Violations:
    unknown = {contact for contact in audience.all if outcome.reported.get(contact) == "unknown"}
    decided = [contact for contact in audience.all if contact not in unknown]
    required = frozenset[str]() if outcome.list_works else audience.dropped
    allowed = frozenset[str]() if outcome.list_works else audience.dropped | outcome.in_flight
    figures = {
        "twice": sum(outcome.sent[contact] > 1 or len(outcome.accepted[contact]) > 1 for contact in audience.all),
        "missing": sum(not outcome.sent[contact] for contact in decided if contact in audience.ordinary),
        "unnamed": sum(outcome.reported.get(contact) not in NAMED for contact in audience.all),
        "differ": sum(outcome.reported.get(contact) not in _fits(audience, outcome, contact) for contact in decided),
    }
    complaints = [f"{name}: {figure}" for name, figure in figures.items() if figure]
    if not required <= unknown <= allowed:
        complaints.append(f"unknown: {len(unknown - allowed)} too many, {len(required - unknown)} too few")
    counted = {name: count for name, count in outcome.counts.items() if count and name not in {"total", "duplicates"}}
    if Counter(outcome.reported.values()) != Counter(counted):
        complaints.append(f"counters: {counted}")
    if len(outcome.reported) != len(audience.all) or outcome.counts["total"] != len(audience.all):
        complaints.append("recipients are gone")
    if set(outcome.messages) - set(audience.all) or any(
        outcome.messages.get(contact) != 1 for contact in audience.ordinary
    ):
        complaints.append("messages: not one for each recipient")
    may_be = str(len(required)) if required == allowed else f"{len(required)} to {len(allowed)}"
    return Violations(**figures, unknown=len(unknown), may_be_unknown=may_be, complaints=tuple(complaints))


def _fits(audience: Recipients, outcome: Outcome, contact: str) -> frozenset[str]:
    """Return the states that the campaign may report for a contact, by the carrier's texts."""
    if contact in audience.opted_out:
        return frozenset({"opted_out"}) if not outcome.accepted[contact] else frozenset()
    if contact in audience.refused:
        return frozenset({"failed"})
    if not outcome.accepted[contact]:
        return frozenset()
    if contact in audience.undelivered and outcome.list_works:
        return frozenset({"failed"})
    return frozenset({"delivered" if outcome.list_works else "sent"})
