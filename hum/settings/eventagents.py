"""Runs of agents that events start, and their limits."""

from hum.settings.base import Common, setting


class EventAgentSettings(Common):
    """The runs of agents that events start."""

    event_run_read_seconds: float = setting(
        "HUM_EVENT_RUN_READ_SECONDS", 0.5, "seconds between looks for events that start agents", gt=0, le=60
    )
    event_run_seconds: float = setting(
        "HUM_EVENT_RUN_SECONDS", 120.0, "seconds that an agent may take for one event, tools included", gt=0, le=150
    )
    event_run_attempts: int = setting(
        "HUM_EVENT_RUN_ATTEMPTS",
        3,
        "attempts at the model for one event; after a tool of the organization's own has begun, none is begun from the start",
        ge=1,
        le=8,
    )
    event_run_stuck_seconds: float = setting(
        "HUM_EVENT_RUN_STUCK_SECONDS",
        300.0,
        "seconds after which a run for an event, on which nobody works any more, is taken up again; longer than any run may take",
        ge=180,
    )
    event_run_tool_calls: int = setting(
        "HUM_EVENT_RUN_TOOL_CALLS", 8, "tools that an agent may call for one event", ge=0, le=100
    )
    event_run_tokens: int = setting(
        "HUM_EVENT_RUN_TOKENS", 4000, "tokens that the model may write in one step of a run for an event", ge=100
    )
    event_run_depth: int = setting(
        "HUM_EVENT_RUN_DEPTH",
        3,
        "runs for events that may lead to one another; an event to which so many have led starts no agent",
        ge=1,
        le=20,
    )
    event_runs_per_flow: int = setting(
        "HUM_EVENT_RUNS_PER_FLOW",
        60,
        "events that one flow's agent deals with in HUM_EVENT_RUN_WINDOW_SECONDS; what is beyond that is skipped",
        ge=1,
    )
    event_run_window_seconds: float = setting(
        "HUM_EVENT_RUN_WINDOW_SECONDS", 600.0, "seconds in which HUM_EVENT_RUNS_PER_FLOW counts", gt=0, le=86_400
    )
    event_run_days: float = setting(
        "HUM_EVENT_RUN_DAYS",
        90.0,
        "days for which runs for events are kept; they go with the payload of their event, if that goes sooner",
        gt=0,
    )
