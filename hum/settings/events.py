"""The retention of events."""

from typing import Literal

from hum.settings.base import Common, setting


class EventSettings(Common):
    """Months of events."""

    events_months: int = setting(
        "HUM_EVENTS_MONTHS",
        0,
        "months after which events are archived and deleted, a month at once; 0: never",
        ge=0,
        le=1200,
    )
    events_archive: Literal["bare", "whole", "none"] = setting(
        "HUM_EVENTS_ARCHIVE",
        "bare",
        "what is archived of them, beside the recordings: `bare`, all but their payloads; `whole`; `none`. No deletion reaches an archive",
    )
