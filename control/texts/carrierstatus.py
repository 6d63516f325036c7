"""The meaning of the carrier's statuses and error codes.  Pure.

An attempt's standing is the greatest of its statuses, so their order and repetitions do not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from control.texts.retries import cure

#: The carrier's statuses, ranked by progress.  Errors outrank `delivered`: segments of a text may end differently.
#: `read` outranks all, as it proves delivery.
RANKS: Mapping[str, int] = {
    "accepted": 0,
    "scheduled": 0,
    "queued": 1,
    "sending": 2,
    "sent": 3,
    "delivered": 4,
    "canceled": 5,
    "partially_delivered": 6,
    "undelivered": 7,
    "failed": 8,
    "read": 9,
}
DELIVERED = frozenset({"delivered", "read"})
ERRORS = frozenset({"canceled", "partially_delivered", "undelivered", "failed"})
ENDS = DELIVERED | ERRORS
#: The final statuses in the contract's terms.
STATUSES: Mapping[str, str] = {
    "delivered": "delivered",
    "read": "delivered",
    "canceled": "failed",
    "partially_delivered": "undelivered",
    "undelivered": "undelivered",
    "failed": "failed",
}
#: The most statuses that are stored per attempt: the carrier repeats them.
MOST_STATUSES = 50
OPTED_OUT = "21610"


@dataclass(frozen=True, slots=True, order=True)
class RankedStatus:
    """One status from the carrier; the greatest of an attempt counts."""

    rank: int
    #: The error permits no retry; it outranks errors that do.
    is_final: bool
    error_code: str
    status: str


def ranked(status: str, error_code: str | None) -> RankedStatus | None:
    """Return the ranked status; None for a status without a rank."""
    rank = RANKS.get(status)
    if rank is None:
        return None
    code = (error_code or "") if status in ERRORS else ""
    return RankedStatus(rank, bool(code) and not cure(code).again, code, status)


@dataclass(frozen=True, slots=True)
class AttemptState:
    """An attempt's state at the carrier, by all its statuses."""

    carrier_status: str
    error_code: str | None
    #: The message's status.
    status: str
    #: A handset has received it, at least in part: it must not be sent again.
    reached: bool


def standing(statuses: Iterable[RankedStatus]) -> AttemptState | None:
    """Return the standing of an attempt; None without any status."""
    known = list(statuses)
    if not known:
        return None
    greatest = max(known)
    return AttemptState(
        carrier_status=greatest.status,
        error_code=greatest.error_code or None,
        status=status_of(greatest.status, greatest.error_code),
        reached=any(status.status in DELIVERED or status.status == "partially_delivered" for status in known),
    )


def status_of(carrier_status: str, error_code: str | None) -> str:
    """Return the message's status: `opted_out` if the carrier refused it for that, else by its own status."""
    return "opted_out" if error_code == OPTED_OUT else STATUSES.get(carrier_status, "sent")


# --- consequences of an error


# --- the pace
