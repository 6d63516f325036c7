"""One trace for a request, from the gateway through control; a client's own trace is not continued."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hum.observe import tracing
from tests.contract.conftest import Edge
from tests.contract.test_text_webhooks import TEXT, post, set_up


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.export(SimpleSpanProcessor(exporter), "test")
    yield exporter
    tracing.stop()


def by_name(spans: tuple[ReadableSpan, ...]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans}


async def test_a_request_is_one_trace(edge: Edge, exporter: InMemorySpanExporter) -> None:
    http = await edge.client()
    exporter.clear()
    strange = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-Request-Id": "req_mine"}
    assert (await http.get("/api/flows/flow_01M89B3YABZKHEB9X59C9JX1YY", headers=strange)).status_code == 404
    spans = by_name(exporter.get_finished_spans())
    outer, inner = spans["GET /api/flows/{id}"], spans["/hum.v1.FlowsService/GetFlow"]
    assert inner.parent is not None and outer.context is not None and inner.context is not None
    assert (inner.parent.span_id, inner.context.trace_id) == (outer.context.span_id, outer.context.trace_id)
    assert outer.parent is None, "clients do not decide what is traced"
    assert outer.attributes is not None and outer.attributes["http.response.status_code"] == 404
    assert inner.attributes is not None
    assert dict(inner.attributes) == {"rpc.grpc.status": "NOT_FOUND", "hum.request_id": "req_mine"}


async def test_without_an_endpoint_nothing_is_carried(edge: Edge) -> None:
    assert tracing.metadata() == ()
    assert (await (await edge.client()).get("/api/flows")).status_code == 200


async def test_webhooks_of_texts_belong_to_the_texts(edge: Edge, exporter: InMemorySpanExporter) -> None:
    """One that came in by the carrier's id, one that went out by its attempt's."""
    await set_up(edge)
    attempt = "send_01M89B3YABZKHEB9X59C9JX1YY"
    with tracing.text_step_span(attempt, "text.send", first=True):
        pass
    exporter.clear()
    assert (await post(edge, TEXT)).status_code == 200
    status = {"MessageSid": "SM2", "AccountSid": TEXT["AccountSid"], "MessageStatus": "delivered"}
    assert (await post(edge, status, f"/twilio/sms/status/{attempt}")).status_code == 204
    with (
        tracing.text_step_span(attempt, "text.send", first=True),
        tracing.text_step_span(TEXT["MessageSid"], "text.turn"),
    ):
        pass
    spans = by_name(exporter.get_finished_spans())
    came, told = spans["POST /twilio/sms"], spans["/hum.v1.TextsIngressService/ReceiveText"]
    sent, reported = spans["text.send"], spans["POST /twilio/sms/status/{attempt_id}"]
    for child, parent in ((told, came), (spans["text.turn"], came), (reported, sent),
                          (spans["/hum.v1.TextsIngressService/ReportText"], reported)):  # fmt: skip
        assert child.parent is not None and parent.context is not None and child.context is not None
        assert (child.parent.span_id, child.context.trace_id) == (parent.context.span_id, parent.context.trace_id)
    assert came.parent is None and sent.parent is None
    assert reported.attributes is not None and reported.attributes["http.response.status_code"] == 204
