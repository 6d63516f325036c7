"""A call is one trace across the planes, which are processes here, and so is a text; what collects the spans is a real OTLP receiver."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cli.platform import Platform
from control.identity import usecases as identity
from sandbox.openai import Model, Script
from sandbox.speech import Speech
from sandbox.twilio import Carrier, say
from storage.db import Db
from tests.e2e.conftest import ACCOUNT, CALLER, KEY, NUMBER, TOKEN
from tests.e2e.platforms import settings_between, started
from tests.e2e.test_tools import SCHEMA
from tests.support.waits import patience

pytestmark = pytest.mark.interop
LISTEN = {"do": "wait_for_agent_to_finish", "quiet_ms": 500, "timeout_ms": 60_000}
SCRIPT = {
    "heard": ["I would like to book a visit"],
    "turns": [
        {"call": {"name": "report_outcome", "arguments": {"booked": True}}},
        {"say": "You are booked.", "call": {"name": "end_call", "arguments": {}}},
    ],
}


@dataclass
class Receiver(collector_grpc.TraceServiceServicer):
    """An OTLP collector: the spans that came, with the name of the service each came from."""

    spans: list[tuple[str, Span]] = field(default_factory=list)

    async def Export(
        self, request: collector.ExportTraceServiceRequest, context: object
    ) -> collector.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            facts = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.spans += [(facts["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return collector.ExportTraceServiceResponse()


#: With its URL.
Collector = tuple[Receiver, str]


@pytest.fixture
async def receiver() -> AsyncIterator[Collector]:
    server, made = aio.server(), Receiver()
    collector_grpc.add_TraceServiceServicer_to_server(made, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield made, f"http://127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def platform(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path, receiver: Collector
) -> AsyncIterator[tuple[Platform, Carrier]]:
    async with (
        Model.serve(api_key=KEY, script=Script.of(SCRIPT)) as model,
        Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as carrier,
    ):
        settings = {
            **settings_between(carrier, model, database_url=database_url, home=open_home),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver[1],
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        async with started(monkeypatch, settings) as platform:
            yield platform, carrier


@pytest.mark.speech
async def test_a_call_is_one_trace(
    platform: tuple[Platform, Carrier], receiver: Collector, database_url: str, speech: Speech
) -> None:
    (running, carrier), (received, _) = platform, receiver
    db = await Db.open(database_url, size=2)
    org = await identity.create_organization(db, "Clinic", "o@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", [])
    await db.close()
    async with httpx.AsyncClient(
        base_url=running.where["gateway_url"], headers={"Authorization": f"Bearer {secret}"}, trust_env=False
    ) as http:
        flow = {"name": "F", "greeting": "Welcome.", "outcome_schema_json": SCHEMA}
        made = (await http.post("/api/flows", json=flow)).raise_for_status().json()
        (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": made["id"]})).raise_for_status()
        words = await speech.say("I would like to book a visit.", "caller")
        call = await carrier.ring(NUMBER, CALLER, [LISTEN, say(words)], stay=True)
        await call.ended()
        (record,) = (await http.get("/api/calls")).json()["calls"]

    def of_call() -> list[tuple[str, Span]]:
        stream = [span for _, span in received.spans if span.name == "stream"]
        return [each for each in received.spans if stream and each[1].trace_id == stream[0].trace_id]

    expected = {
        ("hum-gateway", "POST /twilio/voice"),
        ("hum-control", "/hum.v1.IngressService/RouteCall"),
        ("hum-media", "stream"),
        ("hum-media", "session.open"),
        ("hum-control", "/hum.v1.MediaService/OpenSession"),
        ("hum-media", "answer"),
        ("hum-media", "wait"),
        ("hum-media", "tool"),
        ("hum-control", "tool.run"),
        ("hum-gateway", "POST /twilio/voice/next/{call_id}"),
        ("hum-control", "/hum.v1.IngressService/NextStep"),
        ("hum-gateway", "POST /twilio/voice/status"),
        ("hum-control", "/hum.v1.IngressService/ReportCallStatus"),
    }
    try:
        async with patience():
            while not expected <= {(service, span.name) for service, span in of_call()}:
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"missing: {expected - {(service, span.name) for service, span in of_call()}}")

    spans = of_call()
    known = {span.span_id for _, span in spans}
    roots = [span for _, span in spans if not span.parent_span_id]
    assert [root.name for root in roots] == ["POST /twilio/voice"]
    assert all(span.parent_span_id in known for _, span in spans if span.parent_span_id), "a parent is missing"

    def parent_of(name: str) -> str:
        (child,) = (span for _, span in spans if span.name == name)
        return next(span.name for _, span in spans if span.span_id == child.parent_span_id)

    assert parent_of("/hum.v1.MediaService/OpenSession") == "session.open"
    assert parent_of("session.open") == "stream"
    assert parent_of("tool.run") == "tool"
    (stream,) = (span for _, span in spans if span.name == "stream")
    facts = {each.key: each.value for each in stream.attributes}
    assert (facts["hum.call"].string_value, facts["hum.reason"].string_value) == (record["id"], "agent")
    assert stream.end_time_unix_nano > stream.start_time_unix_nano
    (wait,) = (span for _, span in spans if span.name == "wait")
    assert stream.start_time_unix_nano < wait.start_time_unix_nano < wait.end_time_unix_nano < stream.end_time_unix_nano

    everything = json.dumps([MessageToDict(span) for _, span in received.spans]).lower()
    for private in (CALLER, NUMBER, CALLER[2:], "book", "welcome", call.sid.lower()):
        assert private not in everything, f"{private} is in a span"


QUESTION = "When do you open tomorrow?"


async def test_a_text_is_one_trace(platform: tuple[Platform, Carrier], receiver: Collector, database_url: str) -> None:
    """One that came in, with the turn of the agent that answered it; and the answer, up to the carrier's last word."""
    (running, carrier), (received, _) = platform, receiver
    db = await Db.open(database_url, size=2)
    org = await identity.create_organization(db, "Clinic", "o@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", [])
    await db.close()
    key = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=running.where["gateway_url"], headers=key, trust_env=False) as http:
        config = json.dumps({"debounce_ms": 0})
        desk = {"name": "Desk", "channel": "sms", "system_prompt": "You answer.", "sms_config_json": config}
        flow = (await http.post("/api/flows", json=desk)).raise_for_status().json()
        number = {"e164": NUMBER, "sms_enabled": True, "sms_flow_id": flow["id"]}
        (await http.post("/api/numbers", json=number)).raise_for_status()
        text = carrier.text(NUMBER, CALLER, QUESTION)
        async with patience():
            while not (answers := carrier.texts_to(CALLER)):
                await asyncio.sleep(0.1)
        await carrier.texts_settled()

    def whole(first: str) -> list[tuple[str, Span]]:
        """The spans of the trace that begins with this one."""
        roots = [span for _, span in received.spans if span.name == first and not span.parent_span_id]
        return [each for each in received.spans if roots and each[1].trace_id == roots[0].trace_id]

    async def complete(first: str, expected: set[tuple[str, str]]) -> list[Span]:
        try:
            async with patience():
                while not expected <= {(service, span.name) for service, span in whole(first)}:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            every = [
                (service, span.name, span.trace_id.hex())
                for service, span in received.spans
                if "sms" in span.name or "text" in span.name
            ]
            pytest.fail(f"missing: {expected - {(service, span.name) for service, span in whole(first)}}, of {every}")
        spans = [span for _, span in whole(first)]
        known = {span.span_id for span in spans}
        assert all(span.parent_span_id in known for span in spans if span.parent_span_id), "a parent is missing"
        return spans

    came = {
        ("hum-gateway", "POST /twilio/sms"),
        ("hum-control", "/hum.v1.TextsIngressService/ReceiveText"),
        ("hum-worker", "text.turn"),
    }
    went = {
        ("hum-worker", "text.send"),
        ("hum-gateway", "POST /twilio/sms/status/{attempt_id}"),
        ("hum-control", "/hum.v1.TextsIngressService/ReportText"),
    }
    spans = [*await complete("POST /twilio/sms", came), *await complete("text.send", went)]
    assert len({span.trace_id for span in spans}) == 2
    (turn,) = (span for span in spans if span.name == "text.turn")
    assert {each.key: each.value.string_value for each in turn.attributes}["hum.reason"] == ""
    everything = json.dumps([MessageToDict(span) for _, span in received.spans]).lower()
    for private in (CALLER, NUMBER, CALLER[2:], QUESTION.lower(), answers[0].body.lower(), text.sid.lower()):
        assert private not in everything, f"{private} is in a span"
