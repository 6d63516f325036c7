"""Handlers of every exception: each stands where its kind says why, and none lets a bug vanish."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "evals", "gateway", "control", "hum", "media", "storage", "voice")

#: One piece of work of many fails, is logged as a bug, and the others go on: a call, a job, a row, a delivery, a turn of a loop.
PIECES = {
    "control/approvals/expiry.py close_overdue": "an approval",
    "control/bus.py Listeners._call": "a listener",
    "control/bus.py PostgresBus._run": "a connection",
    "control/calls/link.py _Link._run": "a tool, for whose result a call waits",
    "control/calls/link.py _Link.publish_deltas": "a batch of words",
    "control/calls/reports.py _apply_each": "a report, which is quarantined",
    "control/campaigns/dispatching.py Dispatcher._write_one": "a recipient",
    "control/campaigns/dispatching.py Dispatcher.dispatch_next": "a batch, which is repeated one by one",
    "control/crm/lookups.py CrmLookups._safely": "a connector",
    "control/crm/lookups.py _guarded": "a look-up beside a call",
    "control/httptools/hooks.py Hooks._guarded": "the hooks beside a call",
    "control/natsbus.py NatsBus._run": "a connection",
    "control/outbound/dialler.py CallDialler._dial": "an attempt",
    "control/rows.py each_row": "a row of a sweep",
    "control/texts/sender.py TextSender._send": "a text",
    "control/tools.py Registry._bounded": "a tool",
    "control/webhooks/recording.py OutcomeRecorder._record_each": "an outcome",
    "control/webhooks/sender.py WebhookSender._send": "a delivery",
    "control/worker.py Worker._forever": "a step",
    "control/worker.py Worker._work": "the queue, which begins anew",
    "gateway/retryqueue.py RetryQueue._deliver": "a webhook",
    "gateway/retryqueue.py RetryQueue.run": "the task, which makes the gateway unready",
    "media/app.py _hand_over": "handovers, without which calls go on",
    "media/io/control.py ControlLink.adopt_orphaned": "a scan",
    "media/io/control.py ControlLink.run": "a connection",
    "media/io/filework.py FileThread._run": "a job of a file",
    "media/io/uploader.py Uploader.run": "a scan",
    "media/peers.py Peers.tick": "a call",
    "media/shell.py Shell.from_leg": "a call",
    "media/shell.py Shell.from_model": "a call",
    "media/shell.py Shell.tick": "a call",
    "media/shell.py _guarded.guarded": "a call",
    "media/ticker.py Ticker._swept": "a tick",
}
#: The exception is handed on, to a waiter, a client or a function that logs it.
HANDED_ON = {
    "control/boundary/boundary.py Boundary._stream": "an RPC's client",
    "control/boundary/boundary.py Boundary._unary": "an RPC's client",
    "control/boundary/openstreams.py OpenStreams._admit_credential": "the log, by its kind",
    "control/calls/reports.py apply_batch": "the log; each report is stored alone",
    "control/quarantine.py release_items": "the operator",
    "control/readers.py _Batch._handle": "the quarantine of events",
    "control/texts/batcher.py Batcher._process": "the waiters of a batch",
    "media/io/filework.py result.attempt": "the waiter",
    "voice/mind.py ChatMind._run": "the session, whose answer fails, and which logs it",
    "media/io/sockethandover.py _HandshakeProtocol.connection_made": "the waiter",
}
#: Something is released, ended or told, and the exception raised again.
RAISED_AGAIN = {
    "control/boundary/idempotency.py Idempotency._act_under_claim": "frees the key",
    "control/calls/admission.py CallAdmission._serve": "tells the waiters; ends with a cancellation",
    "control/httptools/servicer.py ToolsServicer.TestTool": "ends the run",
    "control/mcp/connection.py Connection._convert_errors": "retires the connection; ends with a cancellation",
    "control/mcp/connection.py Connection._run": "tells the waiters; ends with a cancellation",
    "control/worker.py Worker._do": "holds a job after its last attempt",
    "gateway/middleware.py AccessLog._observe": "records the answer",
    "hum/process/homelock.py Lock.acquire": "closes the file",
    "hum/smtp.py _connect": "closes the connection",
    "hum/spool.py Spool._store": "takes the write back",
    "storage/backup.py _restore": "ends the program",
    "storage/backup.py back_up": "removes the file",
    "storage/db.py Db._within": "rolls back",
    "storage/db.py savepoint": "rolls back",
}


class Broad(NamedTuple):
    place: str
    handler: ast.ExceptHandler


def broad_handlers(node: ast.AST, file: str, within: tuple[str, ...] = ()) -> Iterator[Broad]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from broad_handlers(child, file, (*within, child.name))
            continue
        if isinstance(child, ast.ExceptHandler) and is_broad(child):
            yield Broad(f"{file} {'.'.join(within)}", child)
        yield from broad_handlers(child, file, within)


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = {"Exception"} if handler.type is None else {each.id for each in nodes(handler.type, ast.Name)}
    return bool(caught & {"Exception", "BaseException"})


def all_broad() -> Iterator[Broad]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "hum/v1" not in str(path):
                yield from broad_handlers(tree(path), str(path.relative_to(ROOT)))


def kind(handler: ast.ExceptHandler) -> set[str]:
    """Return what a handler does with the exception: `logs` it whole, `raises` it again, `hands` it on."""
    told = {
        f"{node.value.id}.{node.attr}" for node in nodes(handler, ast.Attribute) if isinstance(node.value, ast.Name)
    }
    ways = {"logs"} if "LOG.exception" in told else set[str]()
    if any(node.exc is None for node in nodes(handler, ast.Raise)):
        ways.add("raises")
    if handler.name is not None and handler.name in {node.id for node in nodes(handler, ast.Name)}:
        ways.add("hands")
    return ways


def test_every_handler_of_all_exceptions_is_named_with_its_reason() -> None:
    assert {broad.place for broad in all_broad()} == PIECES.keys() | HANDED_ON.keys() | RAISED_AGAIN.keys()


def test_none_lets_a_bug_vanish() -> None:
    wanted = {
        **dict.fromkeys(PIECES, "logs"),
        **dict.fromkeys(HANDED_ON, "hands"),
        **dict.fromkeys(RAISED_AGAIN, "raises"),
    }
    assert [place for place, handler in all_broad() if wanted.get(place) not in kind(handler)] == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("LOG.exception('a')", {"logs"}),
        ("LOG.warning('a')", set()),
        ("raise", {"raises"}),
        ("raise ValueError", set()),
        ("future.set_exception(error)", {"hands"}),
        ("pass", set()),
    ],
)
def test_what_a_handler_does_is_seen(body: str, found: set[str]) -> None:
    module = ast.parse(f"def f():\n    try:\n        g()\n    except Exception as error:\n        {body}\n")
    (broad,) = broad_handlers(module, "a.py")
    assert (broad.place, kind(broad.handler)) == ("a.py f", found)
