"""The feature `executions`: its service, and the sweep that purges old rows."""

from datetime import timedelta

from control.executions.servicer import ToolExecutionsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import tool_executions_pb2
from storage import tool_runs

#: Days for which executions of tools are listed.
TOOL_RUN_DAYS = 90.0

#: Rows purged per sweep.
PRUNED_ROWS = 1000


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keep = timedelta(days=TOOL_RUN_DAYS)

    async def prune() -> None:
        async with deps.db.system() as tx:
            await tool_runs.purge(tx, keep, PRUNED_ROWS)

    services = tool_executions_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={services["ToolExecutionsService"]: ToolExecutionsServicer(deps.cursors, keep)},
        sweeps=[Sweep("tool_runs", prune, settings.sweep_seconds)],
    )
