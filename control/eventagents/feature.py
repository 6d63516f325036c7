"""The feature `eventagents`: the reader that starts runs, their job and sweeps, and the agents' own tool."""

from datetime import timedelta
from functools import partial

from control.eventagents import eventmatching, starting
from control.eventagents.eventmatching import EventRunLimits
from control.eventagents.runs import EventDialogue, Runs
from control.eventagents.servicer import EventRunsServicer
from control.eventagents.tools import report_outcome
from control.feature import Deps, Feature, Reader, Sweep
from hum.contract import eventtypes
from hum.settings import ControlSettings
from hum.v1 import event_runs_pb2
from storage import event_runs
from storage.events import ReaderStart

#: Seconds that an agent may take for one event, tools included.
EVENT_RUN_SECONDS = 120.0
#: Attempts at the model for one event; after a tool of the organization's own has begun, none is begun from the
#: start.
EVENT_RUN_ATTEMPTS = 3
#: Seconds after which a run for an event, on which nobody works any more and which has no job, is taken up again; longer
#: than any run may take.
EVENT_RUN_STUCK_SECONDS = 300.0
#: Tools that an agent may call for one event.
EVENT_RUN_TOOL_CALLS = 8
#: Tokens that the model may write in one step of a run for an event.
EVENT_RUN_TOKENS = 4000
#: Runs for events that may lead to one another; an event to which so many have led starts no agent.
EVENT_RUN_DEPTH = 3
#: Events that one flow's agent handles in EVENT_RUN_WINDOW_SECONDS; what is beyond that is skipped.
EVENT_RUNS_PER_FLOW = 60
#: Seconds in which EVENT_RUNS_PER_FLOW counts.
EVENT_RUN_WINDOW_SECONDS = 600.0
#: Events that an organization's agents handle in 24 hours; what is beyond that is skipped.
EVENT_RUNS_PER_ORGANIZATION = 5000
#: Days for which runs for events are kept; they go with the payload of their event, if that goes sooner.
EVENT_RUN_DAYS = 90.0

PRUNED_ROWS = 1000


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = EventRunLimits(
        runs_per_flow=EVENT_RUNS_PER_FLOW,
        window=timedelta(seconds=EVENT_RUN_WINDOW_SECONDS),
        runs_per_organization=EVENT_RUNS_PER_ORGANIZATION,
        depth=EVENT_RUN_DEPTH,
        tool_calls=EVENT_RUN_TOOL_CALLS,
        attempts=EVENT_RUN_ATTEMPTS,
        seconds=EVENT_RUN_SECONDS,
    )
    responder = deps.clients.responder
    dialogue = EventDialogue(deps.db, responder, deps.tools, EVENT_RUN_TOKENS)
    # A job is given to another worker so long after its worker's last heartbeat, which may be from before the run began.
    orphaned = timedelta(seconds=settings.job_heartbeat_seconds / 2)
    runs = Runs(deps.db, responder, dialogue, limits, orphaned, timedelta(seconds=EVENT_RUN_STUCK_SECONDS))

    async def prune() -> None:
        async with deps.db.system() as tx:
            await event_runs.prune(tx, timedelta(days=EVENT_RUN_DAYS), PRUNED_ROWS)

    return Feature(
        services={event_runs_pb2.DESCRIPTOR.services_by_name["EventRunsService"]: EventRunsServicer(deps.cursors)},
        jobs={eventmatching.RUN: runs.run},
        readers=[
            Reader(
                starting.READER,
                ReaderStart.NOW,
                frozenset(eventtypes.visible()),
                partial(starting.start, limits=limits),
                settings.event_run_read_seconds,
                shares=True,
            )
        ],
        sweeps=[
            Sweep("event_runs_left", runs.requeue_stuck, settings.sweep_seconds),
            Sweep("event_runs", prune, settings.retention_seconds),
        ],
        tools=[report_outcome(round(settings.tool_seconds * 1000))],
    )
