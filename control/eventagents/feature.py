"""The feature `eventagents`: the reader that starts runs, their job and sweeps, and the agents' own tool."""

from datetime import timedelta
from functools import partial

from control.eventagents import rules, starting
from control.eventagents.rules import Limits
from control.eventagents.runs import Dialogue, Runs
from control.eventagents.servicer import EventRunsServicer
from control.eventagents.tools import report_outcome
from control.feature import Deps, Feature, Reader, Sweep
from hum.contract import eventtypes
from hum.settings import ControlSettings
from hum.v1 import event_runs_pb2
from storage import event_runs
from storage.events import Start

PURGED_ROWS = 1000


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = Limits(
        runs_per_flow=settings.event_runs_per_flow,
        window=timedelta(seconds=settings.event_run_window_seconds),
        depth=settings.event_run_depth,
        tool_calls=settings.event_run_tool_calls,
        attempts=settings.event_run_attempts,
        seconds=settings.event_run_seconds,
    )
    responder = deps.outside.responder
    dialogue = Dialogue(deps.db, responder, deps.tools, settings.event_run_tokens)
    runs = Runs(deps.db, responder, dialogue, limits, timedelta(seconds=settings.event_run_stuck_seconds))

    async def purge() -> None:
        async with deps.db.system() as tx:
            await event_runs.forget(tx, timedelta(days=settings.event_run_days), PURGED_ROWS)

    return Feature(
        services={event_runs_pb2.DESCRIPTOR.services_by_name["EventRunsService"]: EventRunsServicer(deps.cursors)},
        jobs={rules.RUN: runs.run},
        readers=[
            Reader(
                starting.READER,
                Start.NOW,
                frozenset(eventtypes.visible()),
                partial(starting.start, limits=limits),
                settings.event_run_read_seconds,
                shares=True,
            )
        ],
        sweeps=[
            Sweep("event_runs_left", runs.requeue_stuck, settings.sweep_seconds),
            Sweep("event_runs", purge, settings.retention_seconds),
        ],
        tools=[report_outcome(round(settings.tool_seconds * 1000))],
    )
