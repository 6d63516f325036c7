"""Limits of the product, raised: on a busy machine they would be reached without a fault.  A test that is about a limit sets that one."""

from typing import Any, Final

#: By the names of constants.
PATIENT: Final[dict[str, Any]] = {
    "max_lag_ms": 10_000.0,
    "max_late_ms": 10_000.0,
    "session_seconds": 60.0,
    "start_seconds": 60.0,
    "ready_seconds": 30.0,
    "handover_answer_ms": 30_000.0,
    "lock_seconds": 60.0,
    "statement_seconds": 120.0,
}
