"""Triggers, to which other systems post."""

from hum.settings.base import Common, constant


class TriggerSettings(Common):
    """Limits on what triggers accept, and its retention."""

    trigger_rate_per_second: float = constant(10.0, "requests per second that one trigger takes, on average", gt=0)
    trigger_rate_burst: int = constant(100, "requests that one trigger takes at once", ge=1)
    trigger_day_bytes: int = constant(1 << 30, "bytes that the triggers of one organization take in a day (UTC)", ge=1)
