"""Approvals: what an agent may not do alone."""

from control.approvals import rules
from control.approvals.asking import Asking
from control.approvals.live import CHANGED, Rests
from control.approvals.servicer import ApprovalsServicer
from control.approvals.working import Working
from control.calls.channels import ANSWERS
from control.calls.commands import Commands
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import approvals_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    rests = Rests(settings.recheck_seconds, settings.approval_look_seconds)
    working = Working(deps.db, deps.tools, Commands(deps.db, deps.bus, settings), settings)
    return Feature(
        services={
            approvals_pb2.DESCRIPTOR.services_by_name["ApprovalsService"]: ApprovalsServicer(deps, rests),
        },
        jobs={rules.WORK: working.work},
        sweeps=[
            Sweep("approvals", working.look, settings.approval_look_seconds),
            Sweep("approvals_old", working.forget, settings.sweep_seconds),
        ],
        channels=[CHANGED],
        wakes={ANSWERS: lambda _: None},  # a worker tells agents of calls, and waits for what became of that
        approver=Asking(deps.db, settings).ask,
    )
