"""The sending of texts."""

from pydantic import field_validator

from hum.settings.base import Common, constant, setting
from hum.settings.paces import PaceTable, parse_paces

#: No sender at the carrier is that fast.
MOST_SEGMENTS_PER_SECOND = 10_000.0


class SendsSettings(Common):
    """The sending of texts over the carrier."""

    text_segments_per_second: str = setting(
        "HUM_TEXT_SEGMENTS_PER_SECOND",
        "1",
        "segments of texts a second that each number sends; numbers, and accounts of the carrier, whose numbers have another "
        "pace after it: 1,+1317...=10,AC...=3",
    )
    text_number_width: int = constant(
        32, "texts of one number that one worker asks the carrier to send at once", ge=1, le=1000
    )
    text_seconds: float = constant(0.25, "seconds between looks for texts that are due; most are told of", gt=0, le=60)
    text_retry_seconds: float = constant(
        5.0,
        "seconds before a carrier that takes none of a number's texts is asked again; doubles each time",
        gt=0,
    )
    text_longest_retry_seconds: float = constant(300.0, "the longest, in seconds, that this becomes", gt=0)
    text_unknown_seconds: float = constant(
        3600.0,
        "seconds for which the carrier can't be asked about an unanswered text before it counts as `unknown`",
        gt=0,
    )
    text_reconcile_seconds: float = constant(
        6 * 3600.0,
        "seconds without news of a text that the carrier took before it is asked about it",
        gt=0,
    )

    @field_validator("text_segments_per_second")
    @classmethod
    def _paces(cls, text: str) -> str:
        parse_paces(text, MOST_SEGMENTS_PER_SECOND)
        return text

    @property
    def text_paces(self) -> PaceTable:
        return parse_paces(self.text_segments_per_second, MOST_SEGMENTS_PER_SECOND)
