"""The program that feeds one of our parsers with hostile documents, each in a child, and prints what each cost.

    python -m tests.security.hostileparsers NAME

Each line of output is JSON: the document, its bytes, the memory that it added in MB, and its seconds of the processor as a multiple of an
honest document's, so that the figure does not depend on the machine.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.support import hostiledocuments as hostile
from tests.support.hostiledocuments import Frame

KB, MB = 1 << 10, 1 << 20
#: The most that a child may take: a parser without a bound is a red test, and not a full machine.
MOST_SECONDS, MOST_BYTES = 30, 6 << 30
PLAIN = Frame("a value")


@dataclass(frozen=True, slots=True)
class HostileCase:
    """A parser, the documents that it is fed with, and the errors that are its way to refuse one."""

    parse: Callable[[bytes], Any]
    documents: Iterable[tuple[str, bytes]]
    refusals: tuple[type[Exception], ...] = (ValueError,)


def mcp_messages() -> HostileCase:
    """Answers of a customer's MCP server: our count, then what the SDK does."""
    import mcp_types
    from mcp_types import jsonrpc_message_adapter, methods

    from control.mcp import outsidemessages
    from hum.json.outside import TooMuch

    def parse(body: bytes) -> None:
        outsidemessages.require_readable(body)
        message: Any = jsonrpc_message_adapter.validate_json(body, by_name=False)
        for method, model in (("tools/call", mcp_types.CallToolResult), ("tools/list", mcp_types.ListToolsResult)):
            with suppress(ValueError):
                methods.validate_server_result(method, "2025-06-18", message.result)
            with suppress(ValueError):
                model.model_validate(message.result, by_name=False)

    frames = [
        Frame(
            f"{name} of a result",
            b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","%s":' % name.encode(),
            b"}}",
        )
        for name in ("content", "tools", "structuredContent", "_meta")
    ]
    return HostileCase(parse, hostile.json_documents(MB, [PLAIN, *frames]), (ValueError, TooMuch, AttributeError))


def mcp_streams() -> HostileCase:
    from mcp_types import jsonrpc_message_adapter

    from control.mcp.outsidemessages import MessageBudget
    from hum.json import outside
    from hum.json.outside import Events, TooMuch

    def parse(body: bytes) -> None:
        budget, events = MessageBudget(0.0), Events()
        for n in range(0, len(body), 16 * KB):
            for event in events.read(body[n : n + 16 * KB]):
                if budget.admits(event, 0.0):
                    with suppress(ValueError):
                        jsonrpc_message_adapter.validate_json(outside.data(event), by_name=False)
        budget.admits(events.rest(), 0.0)

    return HostileCase(parse, hostile.streams(MB), (TooMuch,))


def own_mcp() -> HostileCase:
    """Messages of agents at `/mcp`: our count, then what the SDK does."""
    import mcp_types
    from mcp_types import jsonrpc_message_adapter

    from gateway.bodies import BadBody
    from gateway.mcpserver.server import require_readable

    def parse(body: bytes) -> None:
        require_readable(body)
        message: Any = jsonrpc_message_adapter.validate_json(body, by_name=False)
        for model in (mcp_types.InitializeRequestParams, mcp_types.CallToolRequestParams):
            with suppress(ValueError) as _:
                model.model_validate(message.params, by_name=False)

    def frame(method: str, name: str) -> Frame:
        begin = b'{"jsonrpc":"2.0","id":1,"method":"%s","params":{"name":"a","protocolVersion":"1","%s":'
        return Frame(f"{name} of {method}", begin % (method.encode(), name.encode()), b"}}")

    frames = [
        PLAIN,
        frame("initialize", "capabilities"),
        frame("initialize", "clientInfo"),
        frame("tools/call", "arguments"),
        frame("tools/call", "inputResponses"),
    ]
    return HostileCase(parse, hostile.json_documents(MB, frames), (BadBody, ValueError, AttributeError))


def rest_bodies() -> HostileCase:
    from hum.contract import wire
    from hum.contract.errors import RequestRefused
    from hum.v1 import contacts_pb2, flows_pb2

    def parse(body: bytes) -> None:
        for message in (flows_pb2.Flow(), contacts_pb2.Contact()):
            wire.read_body(body, message, [])

    frames = [PLAIN, *(Frame(name, b'{"%s":' % name.encode(), b"}") for name in ("tools_json", "name", "tags"))]
    return HostileCase(parse, hostile.json_documents(MB, frames), (RequestRefused, wire.NotJson))


def triggers() -> HostileCase:
    from control.triggers.payloads import BadHook, payload

    def parse(body: bytes) -> None:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            with suppress(BadHook):
                payload(kind, body)

    documents = [*hostile.json_documents(256 * KB, [PLAIN]), *hostile.raw_documents(256 * KB)]
    return HostileCase(parse, documents)


def connectors() -> HostileCase:
    from control.crm.connectorwire import ANSWER_BYTES, ConnectorEvent, interpret

    frames = [PLAIN] + [
        Frame(name, b'{"found":true,"contact":{"id":"1","%s":' % name.encode(), b"}}")
        for name in ("attributes", "name")
    ]
    return HostileCase(
        lambda body: interpret(ConnectorEvent.LOOKUP, 200, body, truncated=False),
        hostile.json_documents(ANSWER_BYTES, frames),
    )


def tool_answers() -> HostileCase:
    """Answers of customers' HTTP tools and hooks, with what is redacted of them."""
    from control.base import redaction
    from control.httptools.toolrequest import ANSWER_BYTES, interpret

    def parse(body: bytes) -> None:
        response, _ = interpret(200, body.decode(errors="replace"), truncated=False)
        redaction.without_secrets(response)
        redaction.masked(response)

    documents = [*hostile.json_documents(ANSWER_BYTES, [PLAIN]), *hostile.raw_documents(ANSWER_BYTES)]
    return HostileCase(parse, documents)


def stripe_events() -> HostileCase:
    from gateway import stripe

    frames = [PLAIN, Frame("an object", b'{"id":"a","type":"b","data":{"object":', b"}}")]
    return HostileCase(stripe.read, hostile.json_documents(stripe.EVENT_BYTES, frames))


def issuers() -> HostileCase:
    from gateway import oidc

    return HostileCase(oidc._json, hostile.json_documents(oidc.MAX_BYTES, [PLAIN, Frame("keys", b'{"keys":', b"}")]))


def id_tokens() -> HostileCase:
    """Tokens of issuers, whose header and claims are each such a document."""
    import base64

    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, KeySet

    from gateway import oidc

    keys = KeySet([ECKey.generate_key("P-256")])

    def parse(body: bytes) -> None:
        part = base64.urlsafe_b64encode(body).decode().rstrip("=")
        for token in (f"{part}.e30.AAAA", f"eyJhbGciOiJFUzI1NiJ9.{part}.AAAA"):
            with suppress(JoseError, ValueError, TypeError):
                oidc._require_readable(token)
                jwt.decode(token, keys, algorithms=list(oidc.ALGORITHMS))

    return HostileCase(parse, hostile.json_documents(oidc.MAX_TOKEN_CHARS * 3 // 4, [PLAIN]))


def provider_answers() -> HostileCase:
    """Answers of Stripe, the carrier and the model of embeddings: our count, then what their SDKs do."""
    from stripe._util import convert_to_stripe_object

    from hum import answers

    def parse(body: bytes) -> None:
        answers.require_few(body)
        with suppress(TypeError, AttributeError):
            convert_to_stripe_object(json.loads(body), api_mode="V1")

    frames = [PLAIN, Frame("a list", b'{"object":"list","data":', b"}")]
    return HostileCase(parse, hostile.json_documents(answers.MOST_BYTES, frames), (ValueError, RecursionError))


def model_answers() -> HostileCase:
    """Answers of the model's REST API: our count, then what its SDK does."""
    from openai._models import construct_type
    from openai.types.responses import Response

    from control.clients.openaihttp import MOST_BYTES, MOST_MEMBERS
    from hum import answers

    def parse(body: bytes) -> None:
        answers.require_few(body, MOST_MEMBERS)
        construct_type(type_=Response, value=json.loads(body))

    frames = [PLAIN, *(Frame(name, b'{"%s":' % name.encode(), b"}") for name in ("output", "tools", "usage"))]
    return HostileCase(parse, hostile.json_documents(MOST_BYTES, frames), (ValueError, RecursionError))


def carrier_forms() -> HostileCase:
    from gateway import carrierforms
    from gateway.signedforms import FORM_BYTES

    return HostileCase(lambda body: carrierforms.readable(carrierforms.parse(body)), hostile.raw_documents(FORM_BYTES))


def uploads() -> HostileCase:
    from gateway import forms
    from gateway.forms import BadForm

    return HostileCase(
        lambda body: forms.parts(body, "multipart/form-data; boundary=x"), hostile.forms(8 * MB), (BadForm,)
    )


def model_events() -> HostileCase:
    from media.core.modelmessages import TurnModel
    from media.io.modelsocket import MAX_EVENT_BYTES
    from media.models.wires import wire_of

    frames = [PLAIN] + [
        Frame(kind, b'{"type":"%s","response":' % kind.encode(), b"}") for kind in ("response.done", "unknown")
    ]
    return HostileCase(wire_of(TurnModel("m", "v", "t")).decode, hostile.json_documents(MAX_EVENT_BYTES, frames))


def carrier_frames() -> HostileCase:
    from media.legs import twiliowire

    frames = [PLAIN, Frame("a start", b'{"event":"start","start":{"customParameters":', b"}}")]
    return HostileCase(twiliowire.decode, hostile.json_documents(64 * KB, frames))


def offers() -> HostileCase:
    """Offers of browsers: our checks, then aiortc's parser."""
    from aiortc.sdp import SessionDescription

    from control.calls import sdp

    def parse(body: bytes) -> None:
        text = body.decode(errors="replace")
        if sdp.fault(text) is None:
            with suppress(ValueError, IndexError, KeyError, AssertionError):
                SessionDescription.parse(text)

    documents = [(name, b"v=0\r\n" + body) for name, body in hostile.raw_documents(256 * KB)]
    return HostileCase(parse, [*documents, *hostile.offers()])


def templates() -> HostileCase:
    """Customers' templates of tools: compiled, then rendered with an answer of 2,000 items."""
    from control.httptools import templates as rendering
    from control.httptools.templates import BadToolTemplate, CannotRender, Into, Steps

    values = {"response": [{"name": "a" * 50, "n": n} for n in range(2_000)]}

    def parse(body: bytes) -> None:
        rendering.compile_template(body.decode(), Into.TEXT).render(values, Steps())

    return HostileCase(parse, hostile.templates(rendering.MOST_CHARS), (BadToolTemplate, CannotRender))


def listings() -> HostileCase:
    """Answers of the object store."""
    from hum.objects import multipart
    from hum.objects.bucket import StoreFault

    return HostileCase(multipart._parsed, hostile.xml_documents(multipart.MAX_ANSWER_BYTES), (StoreFault,))


def contact_sheets() -> HostileCase:
    """A file's header, and one batch of its rows: a worker reads these one after the other."""
    from control.contacts.columns import BadColumns
    from control.contacts.csvfiles import BadSheet, Sheet

    return HostileCase(
        lambda body: Sheet(body, "US").batch(500), hostile.sheets(8 * MB), (BadSheet, BadColumns, ValueError)
    )


def numbers() -> HostileCase:
    from control.base import phone

    def parse(body: bytes) -> None:
        with suppress(phone.NotANumber):
            phone.e164(body.decode(errors="replace"), "US")

    return HostileCase(parse, hostile.raw_documents(64 * KB))


def transcripts() -> HostileCase:
    """Words of callers and texts, of which secrets and cards are redacted."""
    from control.base import redaction

    def parse(body: bytes) -> None:
        text = body.decode(errors="replace")
        redaction.text_without_secrets(text)
        redaction.masked(text)

    return HostileCase(parse, hostile.raw_documents(64 * KB))


def instructions() -> HostileCase:
    """A tenant's instructions, whose hours are compared with those in force: 48 spans a day."""
    from control.studio.omissions import hours_mentions

    clock = [f"{half // 2:02}:{30 * (half % 2):02}" for half in range(48)]
    spans = [[opens, f"{opens[:3]}{int(opens[3:]) + 5:02}"] for opens in clock]
    hours = json.dumps({"weekly": dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), spans)})
    breaks = "".join(f"Open {one[1]} to {other[0]} " for one, other in pairwise(spans))
    most = 32_000
    documents = [
        (unit, (unit * most)[: most - len(breaks)] + breaks)
        for unit in ("Open 8:17am to 5:13pm. ", "Mon 8am to 5pm ", "Closed Mon ", "8-5 ", "8:00-", "Pay $5 on May 5. ")
    ]
    return HostileCase(
        lambda body: hours_mentions(body.decode(), hours, date(2026, 3, 6)),
        [(name, text.encode()) for name, text in documents],
    )


def books() -> HostileCase:
    """A tenant's book, of which a search for free times reads a week in a turn."""
    from control.base import hours
    from control.bookings import slots
    from control.bookings.slots import ResourceTimes, ServiceTimes

    since, minute = datetime(2026, 3, 6, tzinfo=UTC), timedelta(minutes=1)
    service = ServiceTimes(30 * minute, step=5 * minute)

    def spans(many: int, each: timedelta, pause: timedelta) -> list[tuple[datetime, datetime]]:
        return [(since + place * (each + pause), since + place * (each + pause) + each) for place in range(many)]

    def parse(body: bytes) -> None:
        size = {"resources": 500, "spans": 1, "lanes": 1, "claims": 0, "closures": 0} | json.loads(body)
        closures = spans(size["closures"], minute, minute)
        groups = list[list[ResourceTimes]]([[], [], [], [], []])
        for number in range(size["resources"]):
            day = [
                (f"{at // 60:02}:{at % 60:02}", f"{(at + 1) // 60:02}:{(at + 1) % 60:02}")
                for at in range(number % 20, number % 20 + 25 * size["spans"], 25)
            ]
            week = hours.parse(json.dumps({"weekly": dict.fromkeys(hours.WEEKDAYS, day)}), "America/New_York")
            claims = {lane: spans(size["claims"], 20 * minute, (lane + 1) * minute) for lane in range(size["lanes"])}
            groups[number % 5].append(ResourceTimes(UUID(int=number), week, size["lanes"], claims, closures))
        list(slots.starts(service, groups, ZoneInfo("America/New_York"), (since, since + timedelta(days=7)), since))

    sizes: list[dict[str, int]] = [
        {"spans": 48},
        {"lanes": 50, "claims": 4},
        {"claims": 200},
        {"closures": 100},
        {"resources": 5, "closures": 5_000},
    ]
    return HostileCase(parse, [(str(size), json.dumps(size).encode()) for size in sizes])


def compressed() -> HostileCase:
    from control.base.egress import EgressError
    from control.clients.http import READ_BYTES, _LimitedBody

    def parse(body: bytes) -> None:
        reader = _LimitedBody(MB, truncate=False)
        reader.begin("gzip")
        for n in range(0, len(body), READ_BYTES):
            reader.is_full(body[n : n + READ_BYTES])
        reader.end()

    return HostileCase(parse, hostile.packed(MB), (EgressError,))


CASES: Mapping[str, Callable[[], HostileCase]] = {
    case.__name__: case
    for case in (
        mcp_messages,
        mcp_streams,
        own_mcp,
        rest_bodies,
        triggers,
        connectors,
        tool_answers,
        stripe_events,
        issuers,
        id_tokens,
        provider_answers,
        model_answers,
        carrier_forms,
        uploads,
        model_events,
        carrier_frames,
        offers,
        templates,
        listings,
        contact_sheets,
        numbers,
        transcripts,
        instructions,
        books,
        compressed,
    )
}


def baseline_seconds() -> float:
    """Return the seconds of the processor that a megabyte of honest JSON takes in Python's own parser; the best of several."""
    honest = (
        json.dumps([{"name": f"Ada {n}", "tags": ["a", "b"], "at": n} for n in range(20_000)])[:MB].rpartition(", {")[0]
        + "]"
    )
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        json.loads(honest)
        best = min(best, time.process_time() - began)
    return best


def _resident(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * KB


def _measured(case: HostileCase, name: str, body: bytes, baseline: float) -> dict[str, Any]:
    """Parse a document in a child, whose peak begins with what it has from here; return what it cost."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        before, began, outcome = _resident("VmRSS"), time.process_time(), "read"
        try:
            case.parse(body)
        except case.refusals:
            outcome = "refused"
        # Whatever it is: the child tells it and ends.
        except BaseException as error:  # noqa: BLE001
            outcome = repr(error)[:200]
        seconds, added = time.process_time() - began, max(0, _resident("VmHWM") - before)
        cost = {"outcome": outcome, "cost": round(seconds / baseline, 1), "memory_mb": round(added / MB, 1)}
        os.write(writing, json.dumps(cost).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as output:
        answer = output.read()
    os.waitpid(child, 0)
    cost = json.loads(answer) if answer else {"outcome": "ended", "cost": MOST_SECONDS / baseline, "memory_mb": 0}
    return {"document": name, "bytes": len(body), **cost}


def main(name: str) -> None:
    case, baseline = CASES[name](), baseline_seconds()
    # What a process does once, such as to compile a pattern, is no document's.
    with suppress(Exception):
        case.parse(b"{}")
    for document, body in case.documents:
        sys.stdout.write(json.dumps(_measured(case, document, body, baseline)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
