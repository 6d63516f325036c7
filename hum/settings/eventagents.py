"""Runs of agents that events start, and their limits."""

from hum.settings.base import Common, constant


class EventAgentSettings(Common):
    """The runs of agents that events start."""

    event_run_read_seconds: float = constant(0.5, "seconds between looks for events that start agents", gt=0, le=60)
