"""Transitions of campaigns.  Pure: facts in, decisions out."""

from dataclasses import dataclass
from datetime import datetime

from hum.contract.errors import InvalidState

#: Texts that are written in a transaction.
BATCH = 50
#: Recipients that are canceled, and texts that are withdrawn, in a transaction.
BULK = 2000
#: The number of latest outcomes that decide whether a campaign continues.
LATEST = 500


def may_change(status: str) -> None:
    """Raise InvalidState unless the campaign is a draft."""
    if status != "draft":
        raise InvalidState("The campaign was launched; only a draft can be changed.")


@dataclass(frozen=True, slots=True)
class Launch:
    """The facts that decide whether a campaign may be launched."""

    status: str
    has_text: bool
    pending: int
    can_send: bool
    starts_at: datetime | None
    expires_at: datetime | None


def may_launch(facts: Launch, at: datetime) -> None:
    """Raise InvalidState unless the campaign may be launched."""
    if facts.status not in {"draft", "paused"}:
        raise InvalidState(f"The campaign is {facts.status}; only a draft or a paused campaign can be launched.")
    if not facts.has_text:
        raise InvalidState("The campaign has neither a text nor media.")
    if facts.status == "draft" and facts.pending == 0:
        raise InvalidState("The campaign has nobody to text.")
    if not facts.can_send:
        raise InvalidState("The campaign's number can't send texts: it was given up, or its texts are off.")
    if facts.expires_at is not None and facts.expires_at <= max(at, facts.starts_at or at):
        raise InvalidState("The campaign expires before it begins.")


def may_pause(status: str) -> None:
    """Raise InvalidState unless the campaign may be paused."""
    if status not in {"queued", "running"}:
        raise InvalidState(f"The campaign is {status}; only a queued or running campaign can be paused.")


def may_cancel(status: str) -> None:
    """Raise InvalidState unless the campaign may be canceled."""
    if status not in {"draft", "queued", "running", "paused"}:
        raise InvalidState(f"The campaign is {status} already.")
