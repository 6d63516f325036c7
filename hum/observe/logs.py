"""Logs: one JSON object per line.

structlog writes them, with the request, organization and call that are bound to the context; no
phone number and no transcript at INFO.  Libraries' logs, warnings and uncaught exceptions become such lines too;
hum/observe/stderr.py handles output that bypasses Python.
"""

import logging
import os
import socket
import sys
import threading
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from prometheus_client import Counter
from structlog.tracebacks import ExceptionDictTransformer

from hum.observe import stderr
from hum.settings import Common

LOST_LINES = Counter("hum_log_lines_lost_total", "Lines of the log that could not be written")


def log(name: str) -> Any:
    """Return the logger of a module."""
    return structlog.get_logger(name)


def node_name(settings: Common, plane: str) -> str:
    """Return this process's name in links and logs."""
    return settings.node or f"{plane}-{socket.gethostname()}-{os.getpid()}"


class Lines:
    """A stream to a descriptor that never raises: a full disk loses log lines, not calls."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode(errors="backslashreplace"))
        except OSError:
            LOST_LINES.inc()

    def flush(self) -> None:
        """Do nothing, as nothing is buffered: a line that a full disk rejected must not be written with the next one."""


def start(settings: Common, plane: str) -> None:
    """Set up the log of this process; call once."""
    level = getattr(logging, settings.log_level.upper())
    lines = cast("TextIO", Lines(stderr.descriptor()))
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        # No local variables: they hold phone numbers, transcripts and keys.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
    ]
    renderers: list[structlog.typing.Processor] = [
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=repr),
    ]
    structlog.configure(
        processors=[*processors, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(lines),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(lines)
    foreign = [structlog.stdlib.add_logger_name, *processors]
    formatter_processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=formatter_processors)
    )
    handler.addFilter(_is_no_exit)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.captureWarnings(True)
    structlog.contextvars.bind_contextvars(plane=plane)
    _log_uncaught(plane)


def _is_no_exit(record: logging.LogRecord) -> bool:
    """Tell whether a record is not about SystemExit: asyncio logs it, but its message was printed already."""
    return record.exc_info is None or not isinstance(record.exc_info[1], SystemExit)


def _log_uncaught(plane: str) -> None:
    """Log exceptions that end the program or a thread, or that Python can't raise."""
    logger = log("uncaught").bind(plane=plane)  # threads lack our context

    def log_exit(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, traceback)
        else:
            sentence = f"{kind.__name__}: {error}"
            logger.critical(sentence, exc_info=(kind, error, traceback))

    def log_thread_end(facts: threading.ExceptHookArgs) -> None:
        if facts.exc_value is not None:
            logger.error("a thread ended", exc_info=facts.exc_value)

    def log_unraisable(facts: "sys.UnraisableHookArgs") -> None:
        logger.error("an exception was ignored", where=repr(facts.object), exc_info=facts.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = log_exit, log_thread_end, log_unraisable
