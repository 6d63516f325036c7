"""The feature `approvals`: its service, the job and sweeps that execute decisions, and the registry's approver."""

from control.approvals import summaries
from control.approvals.executor import DecisionExecutor
from control.approvals.live import CHANGED
from control.approvals.requests import ApprovalRequester
from control.approvals.servicer import ApprovalsServicer
from control.changestreams import PollIntervals
from control.feature import Deps, Feature, Sweep
from control.livecall.channels import ANSWERS
from control.livecall.commands import Commands
from hum.settings import ControlSettings
from hum.v1 import approvals_pb2
from storage import approvals


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    intervals = PollIntervals(settings.recheck_seconds, settings.approval_look_seconds)
    executor = DecisionExecutor(deps.db, deps.tools, Commands(deps.db, deps.bus, settings), settings)
    return Feature(
        services={
            approvals_pb2.DESCRIPTOR.services_by_name["ApprovalsService"]: ApprovalsServicer(deps, intervals),
        },
        jobs={summaries.WORK: executor.execute},
        sweeps=[
            Sweep("approvals", executor.close_overdue, settings.approval_look_seconds, due=approvals.due_seconds),
            Sweep("approvals_stalled", executor.requeue_stalled, settings.approval_look_seconds),
            Sweep("approvals_old", executor.prune, settings.sweep_seconds),
        ],
        channels=[CHANGED],
        # A worker sends commands to calls, and awaits their answers.
        wakes={ANSWERS: lambda _: None},
        approver=ApprovalRequester(deps.db, settings).request,
    )
