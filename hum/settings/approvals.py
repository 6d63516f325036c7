"""Approvals of agents' actions by people."""

from hum.settings.base import Common, setting


class ApprovalSettings(Common):
    """Pending approvals."""

    approval_call_seconds: float = setting(
        "HUM_APPROVAL_CALL_SECONDS", 120.0, "seconds after which nobody's decision is a denial, on a call", gt=0
    )
    approval_text_seconds: float = setting(
        "HUM_APPROVAL_TEXT_SECONDS", 24 * 3600.0, "the same for an agent of texts or events", gt=0
    )
    approvals_pending: int = setting(
        "HUM_APPROVALS_PENDING", 500, "approvals of an organization that may wait for a decision at once", ge=1
    )
    approvals_pending_each: int = setting(
        "HUM_APPROVALS_PENDING_EACH",
        5,
        "of these, the ones of one call or conversation; of an event's run, all that it asks for",
        ge=1,
    )
    approval_look_seconds: float = setting(
        "HUM_APPROVAL_LOOK_SECONDS", 1.0, "seconds between looks for approvals whose time is over", gt=0
    )
    approval_stuck_seconds: float = setting(
        "HUM_APPROVAL_STUCK_SECONDS",
        60.0,
        "seconds after which an approved tool that began to run, and whose worker says nothing, counts as lost",
        gt=0,
    )
    approval_tell_seconds: float = setting(
        "HUM_APPROVAL_TELL_SECONDS",
        20.0,
        "seconds for which one job tries to tell a call's agent what came of it",
        gt=0,
    )
    approval_tell_retry_seconds: float = setting(
        "HUM_APPROVAL_TELL_RETRY_SECONDS", 0.2, "seconds between attempts at that", gt=0
    )
    approval_days: float = setting("HUM_APPROVAL_DAYS", 90.0, "days that decided approvals are kept", gt=0)
