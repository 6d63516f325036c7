"""Transitions of campaigns, and when they must stop.  Pure: facts in, decisions out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hum.contract.errors import InvalidState

#: The carrier's codes at which a campaign is paused at once: all further texts would fail, or make it worse.  The
#: sender also pauses the number (`control.texts.delivery_rules`).  Whether the campaign continues after that, a person
#: decides.
GRAVE: Mapping[str, str] = {
    "20003": "account_suspended",
    "20404": "number_off",
    "30002": "account_suspended",
    "30022": "carrier_cap",
    "30023": "carrier_cap",
    "30027": "carrier_cap",
    "30032": "unregistered",
    "30034": "unregistered",
}
FILTERED = "30007"
SENTENCES: Mapping[str, str] = {
    "person": "Somebody paused it.",
    "filtered": "The mobile carriers filtered too many of its texts as unwanted.",
    "account_suspended": "The carrier account is suspended.",
    "carrier_cap": "The mobile carriers take no more texts from this number for now (10DLC).",
    "unregistered": "The number is not registered for business texts (10DLC, or toll-free verification).",
    "number_off": "The number can't send texts: it is being given up, or its texts are off.",
    "number_gone": "The organization has given the number up.",
    "plan_limit": "The messages of the organization's plan are used up.",
    "quiet_hours": "It waits for quiet hours to end.",
    "blocked": "The contact is on the organization's blocklist.",
    "invalid_number": "It is no phone number.",
    "costly_number": "It is a number that costs whoever texts it, or an emergency number.",
    "country": "It is in a country that this deployment does not text first.",
    "media_country": "The carrier takes media to the US, Canada and Australia only.",
    "untextable": "The carrier said of an earlier text that the number can't be texted.",
    "own_number": "It is a number of the organization.",
    "missing_variable": "A variable of the text has no value.",
    "empty": "The text is empty.",
    "too_long": "The text is longer than 1600 characters.",
    "canceled": "It was canceled.",
    "erased": "The text was deleted.",
    "error": "HUM could not write the text.",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a campaign: texts written ahead, recipients, and filtered texts."""

    #: Most texts of a campaign that wait for the sender.
    window: int
    recipients: int
    #: The share of filtered texts among the latest at which a campaign is paused, and the least number of them.
    filtered_share: float
    filtered_least: int
    #: Countries in which contacts without a conversation are texted, besides the number's own; `*`: all.
    countries: frozenset[str] = frozenset()


#: Texts that are written in a transaction.
BATCH = 50
#: Recipients that are canceled, and texts that are withdrawn, in a transaction.
BULK = 2000
#: The number of latest outcomes that decide whether a campaign continues.
LATEST = 500
#: With a throttle, the texts of so many seconds are written ahead.
AHEAD_SECONDS = 10


# --- transitions --------------------------------------------------------------------------------------------------


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


def halt(outcomes: Mapping[str | None, int], stopped_code: str | None, limits: Limits) -> str | None:
    """Return why a campaign must stop, or None.

    `outcomes`: how many of its latest texts failed, by the carrier's code; None for texts that did not.
    `stopped_code`: the code for which the carrier has stopped its number.
    """
    for code, reason in GRAVE.items():
        if outcomes.get(code) or code == stopped_code:
            return reason
    filtered = outcomes.get(FILTERED, 0)
    if filtered >= limits.filtered_least and filtered >= limits.filtered_share * sum(outcomes.values()):
        return "filtered"
    return None


def window(limits: Limits, throttle_per_minute: int | None) -> int:
    """Return how many texts of a campaign may wait for the sender."""
    if throttle_per_minute is None:
        return limits.window
    return min(limits.window, max(2, throttle_per_minute * AHEAD_SECONDS // 60))
