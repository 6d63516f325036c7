"""Executions of tools: their list, and how long they are kept."""

from datetime import timedelta

from control.executions.servicer import ToolExecutionsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import tool_executions_pb2
from storage import tool_runs

FORGET = 1000


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    async def forget() -> None:
        async with deps.db.system() as tx:
            await tool_runs.forget(tx, timedelta(days=settings.tool_run_days), FORGET)

    services = tool_executions_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={services["ToolExecutionsService"]: ToolExecutionsServicer(deps.cursors)},
        sweeps=[Sweep("tool_runs", forget, settings.sweep_seconds)],
    )
