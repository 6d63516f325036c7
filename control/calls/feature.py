"""Calls: routing, live calls, and the work after a call."""

from functools import partial

from control.calls import channels, ending, lost, rules
from control.calls.ingress import IngressServicer
from control.calls.jobs import after_call
from control.calls.link import MediaServicer
from control.calls.servicer import CallsServicer
from control.calls.session import Sessions
from control.calls.tools import END_CALL, CallTools, report_outcome
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import calls_pb2, runtime_pb2
from storage import media_links, reports_set_aside


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    services = runtime_pb2.DESCRIPTOR.services_by_name
    tools = CallTools(deps.calls_db, deps.tools, settings.tool_seconds)
    sessions = Sessions(deps.calls_db, settings, deps.tools)

    async def forget() -> None:
        async with deps.db.system() as tx:
            await reports_set_aside.forget(tx, rules.KEEP_SET_ASIDE)
            await media_links.forget(tx, rules.KEEP_LINKS)

    return Feature(
        services={
            calls_pb2.DESCRIPTOR.services_by_name["CallsService"]: CallsServicer(deps, settings),
            services["IngressService"]: IngressServicer(deps.calls_db, deps.bus, settings),
            services["MediaService"]: MediaServicer(deps.calls_db, deps.bus, sessions, tools, deps.stopping),
        },
        jobs={rules.AFTER_CALL: partial(after_call, deps.db, deps.outside.writer)},
        sweeps=[
            Sweep("calls", partial(ending.sweep, deps.db, settings.link_lost_seconds), settings.sweep_seconds),
            Sweep("lost_calls", partial(lost.sweep, deps.db, deps.outside.carrier, settings), settings.sweep_seconds),
            Sweep("left_over_reports", forget, settings.sweep_seconds),
        ],
        channels=channels.ALL,
        tools=[END_CALL, report_outcome(deps.db, round(settings.tool_seconds * 1000))],
    )
