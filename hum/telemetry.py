"""Logs and metrics.

structlog writes one JSON object a line, with the request, organization and call that are bound to the context; no
phone number and no transcript at INFO.  Metrics are Prometheus's.
"""

import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from structlog.tracebacks import ExceptionDictTransformer

from hum.settings import Common

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Prometheus buckets in seconds for things that take milliseconds.
FAST_BUCKETS: Sequence[float] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: ... and for what a caller waits for.
TURN_BUCKETS: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def log(name: str) -> Any:
    """The logger of a module."""
    return structlog.get_logger(name)


def node_name(settings: Common, plane: str) -> str:
    """This process's name in links and logs."""
    return settings.node or f"{plane}-{socket.gethostname()}-{os.getpid()}"


def start(settings: Common, plane: str) -> None:
    """Set up logs for this process; call once."""
    level = getattr(logging, settings.log_level.upper())
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            # Without local variables: they hold phone numbers, transcripts and keys.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(plane=plane)


def metrics_page() -> bytes:
    """All metrics of this process, in Prometheus's text format."""
    return generate_latest()
