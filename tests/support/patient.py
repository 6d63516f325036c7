"""Limits of the product, raised: on a busy machine they would be reached without a fault.  A test that is about a limit sets that one."""

from typing import Any, Final

#: By the names of settings' fields.
PATIENT: Final[dict[str, Any]] = {
    "max_lag_ms": 10_000.0,
    "max_late_ms": 10_000.0,
    "session_seconds": 60.0,
    "stream_start_seconds": 60.0,
    "ready_seconds": 30.0,
    "lock_seconds": 60.0,
    "statement_seconds": 120.0,
}


def variables() -> dict[str, str]:
    """Return the same as variables of the environment, for programs."""
    return {f"HUM_{name.upper()}": str(value) for name, value in PATIENT.items()}
