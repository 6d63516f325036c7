"""The feature `executions`: its service, and the sweeps of stale and old rows."""

from datetime import timedelta
from functools import partial

from control.executions import sweeps
from control.executions.servicer import ToolExecutionsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import tool_executions_pb2

#: Days for which executions of tools are listed.
TOOL_RUN_DAYS = 90.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keep = timedelta(days=TOOL_RUN_DAYS)
    services = tool_executions_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={services["ToolExecutionsService"]: ToolExecutionsServicer(deps.cursors, keep)},
        sweeps=[
            Sweep("tool_tests_left", partial(sweeps.end_stale_tests, deps.db), settings.sweep_seconds),
            Sweep("tool_runs", partial(sweeps.prune, deps.db, keep), settings.sweep_seconds),
        ],
    )
