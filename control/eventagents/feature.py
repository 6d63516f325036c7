"""Agents that events start: ours, and what other systems post to triggers."""

from datetime import timedelta
from functools import partial

from control.eventagents import rules, starting
from control.eventagents.rules import Limits
from control.eventagents.runs import Dialogue, Runs
from control.eventagents.servicer import EventRunsServicer
from control.eventagents.tools import report_outcome
from control.feature import Deps, Feature, Reader, Sweep
from hum import eventtypes
from hum.settings import ControlSettings
from hum.v1 import event_runs_pb2
from storage import event_runs
from storage.events import Start

FORGET = 1000


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

    async def forget() -> None:
        async with deps.db.system() as tx:
            await event_runs.forget(tx, timedelta(days=settings.event_run_days), FORGET)

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
            Sweep("event_runs_left", runs.take_left, settings.sweep_seconds),
            Sweep("event_runs", forget, settings.retention_seconds),
        ],
        tools=[report_outcome(round(settings.tool_seconds * 1000))],
    )
