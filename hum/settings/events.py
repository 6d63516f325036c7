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
    events_months_ahead: int = setting(
        "HUM_EVENTS_MONTHS_AHEAD", 2, "months for which the database is prepared ahead", ge=1, le=24
    )
    events_close_hours: float = setting(
        "HUM_EVENTS_CLOSE_HOURS",
        24.0,
        "hours after its end when a month takes no more events; the database's clock must never go back by as much",
        ge=0.1,
    )
    events_lock_seconds: float = setting(
        "HUM_EVENTS_LOCK_SECONDS",
        0.5,
        "seconds that making or deleting a month may wait for others, who wait behind it; it is tried again",
        gt=0,
        le=10,
    )
    events_look_seconds: float = setting(
        "HUM_EVENTS_LOOK_SECONDS", 300.0, "seconds between looks at the months of events", gt=0
    )
    event_id_days: float = setting(
        "HUM_EVENT_ID_DAYS",
        90.0,
        "days for which it is known that news which may be brought again have their event",
        ge=1,
    )
