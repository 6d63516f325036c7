"""A call's trace is found by everybody who has its id, and planes decide alike whether it is kept."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN

from hum.observe import tracing
from tests.support.present import present

CALLS = [f"CA{number:032x}" for number in range(200)]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.export(SimpleSpanProcessor(exporter), "test")
    yield exporter
    tracing.stop()


def traced(share: float) -> set[str]:
    """The calls whose webhook another process keeps that has this share."""
    exporter = InMemorySpanExporter()
    tracing.export(SimpleSpanProcessor(exporter), "test", share)
    kept = set()
    for call in CALLS:
        exporter.clear()
        with tracing.webhook_span(call, "status", first=False):
            pass
        kept |= {call} if exporter.get_finished_spans() else set()
    tracing.stop()
    return kept


def test_whatever_comes_first_the_parts_belong_together(exporter: InMemorySpanExporter) -> None:
    tracing.call_span(CALLS[0], "stream").end()
    with tracing.webhook_span(CALLS[0], "status", first=False):
        pass
    with tracing.webhook_span(CALLS[0], "voice", first=True):
        tracing.server_span("below", dict(tracing.metadata())).end()
    stream, status, below, voice = exporter.get_finished_spans()
    assert [each.name for each in (stream, status, below, voice)] == ["stream", "status", "below", "voice"]
    assert len({each.context.trace_id for each in (stream, status, below, voice)}) == 1
    assert voice.parent is None
    assert {present(each.parent).span_id for each in (stream, status, below)} == {voice.context.span_id}


def test_another_call_and_a_request_are_other_traces(exporter: InMemorySpanExporter) -> None:
    for call in CALLS[:2]:
        with tracing.webhook_span(call, "voice", first=True):
            pass
    tracing.server_span("http", {}).end()
    assert len({each.context.trace_id for each in exporter.get_finished_spans()}) == 3


def test_a_share_is_the_same_for_all() -> None:
    half, again, tenth = traced(0.5), traced(0.5), traced(0.1)
    assert half == again and tenth < half
    assert 60 < len(half) < 140 and 5 < len(tenth) < 40
    assert (traced(1.0), traced(0.0)) == (set(CALLS), set())


def test_without_an_endpoint_no_span_is_made() -> None:
    with tracing.webhook_span(CALLS[0], "voice", first=True) as span:
        assert span is INVALID_SPAN and tracing.metadata() == ()
    assert tracing.server_span("http", {"traceparent": f"00-{1:032x}-{1:016x}-01"}) is INVALID_SPAN
    assert tracing.child_span(tracing.call_span(CALLS[0], "stream"), "answer") is INVALID_SPAN
    assert tracing.traceparent(INVALID_SPAN) == ""
