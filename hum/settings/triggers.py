"""Triggers, to which other systems post."""

from hum.settings.base import Common, setting


class TriggerSettings(Common):
    """Limits on what triggers accept, and its retention."""

    max_triggers: int = setting("HUM_MAX_TRIGGERS", 100, "triggers that an organization may have", ge=1)
    trigger_rate_per_second: float = setting(
        "HUM_TRIGGER_RATE_PER_SECOND", 10.0, "requests per second that one trigger takes, on average", gt=0
    )
    trigger_rate_burst: int = setting("HUM_TRIGGER_RATE_BURST", 100, "requests that one trigger takes at once", ge=1)
    trigger_tolerance_seconds: float = setting(
        "HUM_TRIGGER_TOLERANCE_SECONDS",
        300.0,
        "seconds by which the time of a signed request may differ from ours",
        gt=0,
    )
    trigger_event_bytes: int = setting(
        "HUM_TRIGGER_EVENT_BYTES", 16 << 10, "the largest body that is also in its event", ge=0, le=64 << 10
    )
    trigger_day_bytes: int = setting(
        "HUM_TRIGGER_DAY_BYTES", 1 << 30, "bytes that the triggers of one organization take in a day (UTC)", ge=1
    )
    trigger_body_days: float = setting(
        "HUM_TRIGGER_BODY_DAYS",
        30.0,
        "days before the raw body of what a trigger received is deleted; sooner where the organization keeps less",
        gt=0,
    )
    trigger_delivery_days: float = setting(
        "HUM_TRIGGER_DELIVERY_DAYS",
        90.0,
        "days before it is forgotten that a trigger received something: until then a repetition is known",
        ge=1,
    )
