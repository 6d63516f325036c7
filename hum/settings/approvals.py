"""Approvals of agents' actions by people."""

from hum.settings.base import Common, constant


class ApprovalSettings(Common):
    """Pending approvals."""

    approval_call_seconds: float = constant(120.0, "seconds after which nobody's decision is a denial, on a call", gt=0)
    approvals_pending_each: int = constant(
        5,
        "approvals of one call or conversation that may wait at once; of an event's run, all that it asks for",
        ge=1,
    )
    approval_look_seconds: float = constant(1.0, "seconds between looks for approvals whose time is over", gt=0)
    approval_stuck_seconds: float = constant(
        60.0,
        "seconds after which an approved tool that began to run, and whose worker says nothing, counts as lost",
        gt=0,
    )
    approval_tell_retry_seconds: float = constant(
        0.2, "seconds between attempts to tell a call's agent what came of an approval", gt=0
    )
