"""Calls: routing, live calls, and the work after a call."""

from functools import partial

from control.boundary import REVOKED
from control.calls import callendings, ending, orphans
from control.calls.browser import BrowserOffers
from control.calls.browsercallers import BrowserCallers
from control.calls.contextupdates import callers
from control.calls.delegation import TASK_TOKENS, TaskDelegation, TaskDialogue
from control.calls.ingress import IngressServicer
from control.calls.jobs import after_call
from control.calls.link import MediaServicer
from control.calls.listenerstreams import ListenerStreams
from control.calls.servicer import CallsServicer
from control.calls.session import Sessions
from control.calls.switching import transfer_to_flow
from control.calls.toolruns import ToolRuns
from control.calls.tools import END_CALL, PAUSE_RECORDING, RESUME_RECORDING, report_outcome, send_digits
from control.feature import Deps, Feature, Sweep
from control.livecall import channels
from control.livecall.callstatus import AFTER_CALL
from hum.settings import ControlSettings
from hum.v1 import calls_pb2, runtime_pb2
from storage import media_links, quarantine

#: The longest wait of sweeps over live calls, however quiet it is: a silent call's processes may die without a word, and it is closed
#: within a minute.
LOST_NET_SECONDS = 20.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    services = runtime_pb2.DESCRIPTOR.services_by_name
    offers = BrowserOffers(deps.calls_db, settings.token_seconds)
    listeners, lookups = ListenerStreams(), callers(settings, deps)
    sessions = Sessions(deps.calls_db, settings, deps.tools)
    tools = ToolRuns(deps.calls_db, deps.tools, sessions, settings.tool_seconds)
    browser_callers = BrowserCallers(deps.db, deps.bus, deps.clients.carrier, settings)
    tool_ms = round(settings.tool_seconds * 1000)
    tasks = TaskDialogue(deps.db, deps.clients.responder, deps.tools, TASK_TOKENS)

    async def prune() -> None:
        async with deps.db.system() as tx:
            await quarantine.prune_reports(tx, callendings.KEEP_SET_ASIDE)
            await media_links.prune(tx, callendings.KEEP_LINKS)

    every = settings.sweep_seconds
    stale = partial(ending.close_stale_calls, deps.db, settings.link_lost_seconds)
    orphaned = partial(orphans.close_orphaned_calls, deps.db, deps.clients.carrier, settings)
    return Feature(
        services={
            calls_pb2.DESCRIPTOR.services_by_name["CallsService"]: CallsServicer(deps, settings, listeners, lookups),
            services["IngressService"]: IngressServicer(deps.calls_db, deps.bus, settings, lookups),
            services["MediaService"]: MediaServicer(
                deps.calls_db, deps.bus, sessions, tools, listeners, offers, deps.stopping, deps.hints.note
            ),
        },
        jobs={AFTER_CALL: partial(after_call, deps.db, deps.clients.writer)},
        sweeps=[
            Sweep("calls", stale, every, net_seconds=LOST_NET_SECONDS),
            Sweep("lost_calls", orphaned, every, net_seconds=LOST_NET_SECONDS),
            Sweep("browser_callers", browser_callers.check, every, browser_callers.woken, None, LOST_NET_SECONDS),
            Sweep("left_over_reports", prune, settings.sweep_seconds),
        ],
        channels=channels.ALL,
        # A worker sends the command to hang up, and awaits its answer, or the call's end.
        wakes={
            REVOKED: browser_callers.revoked,
            channels.ANSWERS: lambda _: None,
            channels.CHANGED: lambda _: None,
        },
        tools=[
            END_CALL,
            PAUSE_RECORDING,
            RESUME_RECORDING,
            report_outcome(deps.db, tool_ms),
            transfer_to_flow(deps.db, tool_ms),
            send_digits(tool_ms),
            TaskDelegation(deps.db, tasks, sessions).tool(),
        ],
    )
