"""The boundary, through which every request and every response passes once.

In order: authentication (credential to principal), authorization (the method's access option), validation
(`hum.contract.validation`), replay of an earlier answer (idempotency key), the servicer in the tenant's transaction, commit, the
status of an error, one log line and one measurement.  A stream is admitted in the same way, and again when rights are
revoked (`openstreams`).
"""

from control.boundary.auditing import AuditLog
from control.boundary.boundary import Boundary
from control.boundary.context import (
    ActionContext,
    NodeContext,
    RequestContext,
    SessionContext,
    SignedInContext,
    TenantContext,
    TransactionContext,
)
from control.boundary.openstreams import REVOKED
from control.boundary.ratelimits import RateLimits

__all__ = [
    "REVOKED",
    "ActionContext",
    "AuditLog",
    "Boundary",
    "NodeContext",
    "RateLimits",
    "RequestContext",
    "SessionContext",
    "SignedInContext",
    "TenantContext",
    "TransactionContext",
]
