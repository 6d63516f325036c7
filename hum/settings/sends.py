"""The sending of texts."""

from collections.abc import Mapping

from pydantic import field_validator

from hum.settings.base import Common, listed, setting

#: No sender at the carrier is that fast.
MOST_SEGMENTS_PER_SECOND = 10_000.0


class SendsSettings(Common):
    """The sending of texts over the carrier."""

    text_segments_per_second: float = setting(
        "HUM_TEXT_SEGMENTS_PER_SECOND",
        1.0,
        "segments of texts a second that one number sends",
        gt=0,
        le=MOST_SEGMENTS_PER_SECOND,
    )
    text_segments_per_second_of: str = setting(
        "HUM_TEXT_SEGMENTS_PER_SECOND_OF",
        "",
        "numbers, or accounts of the carrier, whose numbers have another pace, comma-separated: +1317...=10,AC...=3",
    )
    text_width: int = setting(
        "HUM_TEXT_WIDTH", 64, "texts that one worker asks the carrier to send at once", ge=2, le=1000
    )
    text_campaign_width: int = setting(
        "HUM_TEXT_CAMPAIGN_WIDTH", 48, "of these, texts of campaigns: the rest is left to conversations", ge=1, le=1000
    )
    text_number_width: int = setting("HUM_TEXT_NUMBER_WIDTH", 32, "of these, texts of one number", ge=1, le=1000)
    text_seconds: float = setting(
        "HUM_TEXT_SECONDS", 0.25, "seconds between looks for texts that are due; most are told of", gt=0, le=60
    )
    text_quantum_seconds: float = setting(
        "HUM_TEXT_QUANTUM_SECONDS",
        0.05,
        "what a fast number sends within so many seconds leaves together",
        gt=0,
        le=1,
    )
    text_retry_seconds: float = setting(
        "HUM_TEXT_RETRY_SECONDS",
        5.0,
        "seconds before a carrier that takes none of a number's texts is asked again; doubles each time",
        gt=0,
    )
    text_longest_retry_seconds: float = setting(
        "HUM_TEXT_LONGEST_RETRY_SECONDS", 300.0, "the longest that this becomes", gt=0
    )
    text_recover_seconds: float = setting(
        "HUM_TEXT_RECOVER_SECONDS",
        60.0,
        "seconds after which a number that was too fast for the carrier is twice as fast again",
        gt=0,
    )
    text_stop_seconds: float = setting(
        "HUM_TEXT_STOP_SECONDS",
        900.0,
        "seconds for which a number sends nothing that the carrier refuses for a fault of the number or its account",
        gt=0,
    )
    text_unknown_seconds: float = setting(
        "HUM_TEXT_UNKNOWN_SECONDS",
        3600.0,
        "seconds for which the carrier can't be asked about an unanswered text before it counts as `unknown`",
        gt=0,
    )
    text_reconcile_seconds: float = setting(
        "HUM_TEXT_RECONCILE_SECONDS",
        6 * 3600.0,
        "seconds without news of a text that the carrier took before it is asked about it",
        gt=0,
    )
    text_reconcile_days: float = setting(
        "HUM_TEXT_RECONCILE_DAYS", 3.0, "days after which it is asked no more about a text", gt=0
    )

    @field_validator("text_segments_per_second_of")
    @classmethod
    def _paces(cls, text: str) -> str:
        parse_paces(text)
        return text

    @property
    def text_paces(self) -> Mapping[str, float]:
        return parse_paces(self.text_segments_per_second_of)


def parse_paces(text: str) -> dict[str, float]:
    """Parse `+1317...=10,AC1=2.5` into a dict.  Raises ValueError."""
    paces = {}
    for pair in listed(text):
        sender, is_pair, pace = pair.partition("=")
        try:
            paces[sender.strip()] = float(pace)
        except ValueError:
            is_pair = ""
        if not (sender.strip() and is_pair and 0 < paces[sender.strip()] <= MOST_SEGMENTS_PER_SECOND):
            raise ValueError(f"{pair!r} is not a number or account and its segments per second, like +1317...=10")
    return paces
