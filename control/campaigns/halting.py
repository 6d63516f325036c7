"""When a campaign must stop, and the sentences that say why.  Pure: facts in, decisions out."""

from collections.abc import Mapping
from dataclasses import dataclass

#: The carrier's codes at which a campaign is paused at once: all further texts would fail, or make it worse.  The
#: sender also pauses the number (`control.texts.carrierstatus`).  Whether the campaign continues after that, a person
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
    "unknown_number": "It is not known as a number of people or businesses.",
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
class CampaignLimits:
    """The limits of a campaign: texts written ahead, recipients, and filtered texts."""

    #: Most texts of a campaign that wait for the sender.
    window: int
    recipients: int
    #: The share of filtered texts among the latest at which a campaign is paused, and the least number of them.
    filtered_share: float
    filtered_least: int
    #: Countries in which contacts without a conversation are texted, besides the number's own; `*`: all.
    countries: frozenset[str] = frozenset()


def halt(outcomes: Mapping[str | None, int], stopped_code: str | None, limits: CampaignLimits) -> str | None:
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


def window(limits: CampaignLimits, throttle_per_minute: int | None) -> int:
    """Return how many texts of a campaign may wait for the sender."""
    if throttle_per_minute is None:
        return limits.window
    return min(limits.window, max(2, throttle_per_minute * AHEAD_SECONDS // 60))


#: With a throttle, the texts of so many seconds are written ahead.
AHEAD_SECONDS = 10
