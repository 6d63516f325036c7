"""The command python -m bench.webhooks: how soon an event reaches a customer's server, and at what cost.

A whole platform is started, as `bench.texts` does; events are written into its database at a pace, each of a type that one of ten
webhooks wants, and the stand-in receiver records their arrival. Then the same while one of the ten never answers. The lag is from
the commit of an event to the arrival of its first attempt.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from google.protobuf.message import Message

from bench.texts.speed import POLL_SECONDS, WAIT_SECONDS, Figure, cpu_between, organization, percentiles, writer
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from sandbox.receiver import Receiver, ReceiverFault, Reply
from storage import events
from storage.db import Db
from storage.events import NewEvent
from tests.support.runningplatform import Platform, start_platform
from tests.support.waits import until

CONTACT, NUMBER = "+13175551234", "+12125550100"
TEXT = "Hello, is Monday at ten still free? I could also come on Tuesday."
BATCH_SECONDS = 0.05
#: The receiver is on this machine.
SETTINGS = {"HUM_EGRESS_ALLOW": "127.0.0.0/8"}


def samples() -> Mapping[str, Message]:
    """Return ten types of events, each with typical content."""
    thread, call = ids.show(Kind.CONVERSATION, ids.new()), ids.show(Kind.CALL, ids.new())
    pair: dict[str, Any] = {"conversation_id": thread, "message_id": ids.show(Kind.MESSAGE, ids.new())}
    line: dict[str, Any] = {"from_e164": CONTACT, "to_e164": NUMBER}
    return {
        "sms.received": events_pb2.SmsReceivedEvent(**pair, **line, body=TEXT),
        "sms.sent": events_pb2.SmsSentEvent(**pair, **line, body=TEXT, segments=1),
        "sms.delivered": events_pb2.SmsDeliveredEvent(**pair, **line),
        "sms.failed": events_pb2.SmsFailedEvent(**pair, **line, error_code="30003"),
        "sms.opt_out": events_pb2.SmsOptOutEvent(contact_e164=CONTACT, source="keyword"),
        "sms.opt_in": events_pb2.SmsOptInEvent(contact_e164=CONTACT, source="keyword"),
        "conversation.started": events_pb2.ConversationStartedEvent(conversation_id=thread, contact_e164=CONTACT),
        "conversation.closed": events_pb2.ConversationClosedEvent(conversation_id=thread, by="ai"),
        "call.started": events_pb2.CallStartedEvent(call_id=call, **line),
        "call.completed": events_pb2.CallCompletedEvent(call_id=call, **line, reason="caller"),
    }


async def write(db: Db, org: UUID, per_second: float, seconds: float) -> dict[str, tuple[str, float]]:
    """Write events at a pace; return each event's type and commit time, by its id."""
    loop, kinds, committed = asyncio.get_running_loop(), list(samples().items()), dict[str, tuple[str, float]]()
    began, written, total = loop.time(), 0, int(per_second * seconds)
    while written < total:
        due = min(total, int((loop.time() - began) * per_second) + 1)
        batch = [(ids.new(), *kinds[n % len(kinds)]) for n in range(written, due)]
        async with db.system() as tx:
            await events.append_all(tx, [NewEvent(org, id, message, id) for id, _, message in batch])
        at = loop.time()
        committed |= {ids.show(Kind.EVENT, id): (type, at) for id, type, _ in batch}
        written = due
        await asyncio.sleep(BATCH_SECONDS)
    return committed


async def measure(
    platform: Platform, receiver: Receiver, db: Db, per_second: float, seconds: float, dead: str
) -> list[Figure]:
    """Return figures of the webhooks that are not `dead`."""
    receiver.requests.clear()
    cpu_before = platform.cpu_seconds()
    committed = await write(db, await organization(platform), per_second, seconds)
    expected = {id for id, (type, _) in committed.items() if type != dead}
    await until(lambda: len(arrivals(receiver, expected)) == len(expected), POLL_SECONDS, WAIT_SECONDS)
    first = arrivals(receiver, expected)
    cpu = cpu_between(cpu_before, platform.cpu_seconds(), len(expected))
    p50, p99 = percentiles([(first[id] - committed[id][1]) * 1000 for id in expected])
    what = f"{per_second:g} events/s, {'one of ten receivers dead' if dead else 'ten receivers'}"
    return [
        Figure(f"{what}: first attempt, p50", p50, "ms", more=f"CPU ms a delivery: {cpu}"),
        Figure(f"{what}: first attempt, p99", p99, "ms", 1000),
    ]


def arrivals(receiver: Receiver, expected: set[str]) -> dict[str, float]:
    """Return the arrival time of the first attempt at each of these events."""
    first = dict[str, float]()
    for request in receiver.requests:
        if (id := request.headers["webhook-id"]) in expected:
            first.setdefault(id, request.at_seconds)
    return first


async def run(home: Path, per_second: float, seconds: float) -> list[Figure]:
    async with (
        start_platform(home, settings=SETTINGS) as platform,
        Receiver.serve() as receiver,
        writer(platform) as db,
    ):
        for type in samples():
            await platform.ask("POST", "/api/webhooks", json={"url": f"{receiver.url}/{type}", "events": [type]})
        # Events from before the worker's first look are not delivered.
        while not await platform.query("SELECT FROM event_cursors WHERE reader = 'webhooks'"):  # noqa: ASYNC110 - another's
            await asyncio.sleep(0.2)
        figures = []
        await measure(platform, receiver, db, per_second, 2.0, "")  # warm
        for dead in ("", "sms.received"):
            if dead:
                receiver.always(f"/{dead}", Reply(fault=ReceiverFault.HANG))
            figures += await measure(platform, receiver, db, per_second, seconds, dead)
    return figures


def table(figures: Sequence[Figure]) -> str:
    """Format the rows as a Markdown table."""
    lines = ["| figure | measured | target | |", "| --- | --- | --- | --- |"]
    for figure in figures:
        target = "" if figure.target is None else f"{figure.target:g} {figure.unit}"
        lines.append(f"| {figure.what} | {figure.value:.0f} {figure.unit} | {target} | {figure.more} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--rate", type=float, default=400.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="webhooks.") as folder:
        figures = uvloop.run(run(Path(folder) / "home", options.rate, options.seconds))
    print(table(figures))
    print(
        f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; {time.monotonic() - began:.0f} s"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
