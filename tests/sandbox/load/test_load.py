"""The load test's figures for calls whose truth is known, and a small load over real sockets."""

import argparse
import base64
import json
from collections.abc import AsyncIterator, Iterable
from random import Random

import pytest
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection

from sandbox.load import options
from sandbox.load.figures import CallFigures, Thresholds, percentiles, table
from sandbox.load.harness import LoadParameters, main, run, script
from sandbox.serving import serving
from sandbox.twilio import Path, Stream
from sandbox.twilio.journal import Journal
from sandbox.twilio.stream import UtteranceSpan

ACCOUNT, TOKEN, TO = "AC" + "a" * 32, "12345", "+13175550100"
LOUD = b"\x10" * 160


def stream(*audio_at_ms: int, spans: Iterable[tuple[int, int]] = (), clears: Iterable[int] = ()) -> Stream:
    """A stream whose agent was heard for 400 ms at each of these instants, except for what was cleared."""
    made = Stream("ws://x", {}, call_sid="CA", account_sid=ACCOUNT, path=Path(), journal=Journal())
    happenings = sorted([(at, False) for at in audio_at_ms] + [(at, True) for at in clears])
    for at_ms, is_clear in happenings:
        if is_clear:
            made.playout.clear(at_ms)
        else:
            made.playout.receive(at_ms, LOUD * 20)
    made.playout.advance(100_000)
    made.spoken.spans = [UtteranceSpan(start, end) for start, end in spans]
    return made


def lived(*streams: Stream) -> CallFigures:
    figures = CallFigures()
    for each in streams:
        figures._add_stream(each)
    return figures


def test_an_answer_is_measured_from_the_last_word() -> None:
    figures = lived(stream(120, 3_000, spans=[(1_000, 2_000)]))
    assert (figures.greeting_ms, figures.answer_ms, figures.clear_ms, figures.turns) == ([120], [1_000], [], 1)


def test_a_line_over_the_agent_wants_a_clear() -> None:
    figures = lived(
        stream(1_000, spans=[(1_100, 2_000)], clears=[1_170]), stream(1_000, spans=[(1_100, 1_300)], clears=[3_000])
    )
    assert figures.clear_ms == [pytest.approx(70)]
    assert figures.ignored == 1


def test_a_break_that_no_clear_made_is_a_gap() -> None:
    assert lived(stream(1_000, 1_450)).gap_ms == [50]
    assert lived(stream(1_000, 1_450, clears=[1_300])).gap_ms == []


def test_limits_name_what_was_exceeded() -> None:
    summary = lived(stream(120, 3_000, spans=[(1_000, 2_000)])).summary()
    assert Thresholds(max_first_audio_ms=120, max_answer_ms=1_000, max_clear_ms=1, max_gaps=0).broken(summary) == []
    (sentence,) = Thresholds(max_answer_ms=999).broken(summary)
    assert sentence == "answer_ms is 1000, and may be at most 999"
    assert "1 calls" not in table(summary)


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([]) == {"count": 0, "p50": None, "p95": None, "p99": None}
    assert percentiles([float(n) for n in range(100)])["p95"] == 95.0


def test_callers_interrupt_as_often_as_they_are_told() -> None:
    def waits(interrupt: float) -> list[str]:
        steps = script([LOUD], 200, interrupt, Random(2))
        return [step["do"] for step in steps if step["do"] != "say"]

    assert set(waits(0.0)) == {"wait_for_agent_to_finish"}
    assert waits(1.0).count("wait_for_agent_to_finish") == 1


@pytest.fixture
async def agent() -> AsyncIterator[str]:
    """A gateway and an agent that greets, and clears whatever is said to it."""

    async def talk(connection: ServerConnection) -> None:
        async for text in connection:
            message = json.loads(text)
            if message["event"] == "start":
                audio = base64.b64encode(LOUD * 40).decode()
                body = {"event": "media", "streamSid": message["streamSid"], "media": {"payload": audio}}
                await connection.send(json.dumps(body))
            elif message["event"] == "media" and base64.b64decode(message["media"]["payload"]) == LOUD:
                await connection.send(json.dumps({"event": "clear", "streamSid": message["streamSid"]}))

    async with websockets.serve(talk, "127.0.0.1", 0) as media:
        port = media.sockets[0].getsockname()[1]

        async def answer(_: Request) -> Response:
            twiml = f'<Response><Connect><Stream url="ws://127.0.0.1:{port}/"/></Connect></Response>'
            return Response(twiml, media_type="text/xml")

        app = Starlette(routes=[Route("/{rest:path}", answer, methods=["POST"])])
        async with serving(app, "127.0.0.1:0") as (host, web_port):
            yield f"http://{host}:{web_port}/voice"


async def test_calls_are_placed_followed_and_counted(agent: str) -> None:
    load = LoadParameters(agent, ACCOUNT, TOKEN, TO, "+13175550199", calls=3, seconds=1.5, interrupt=0.0)
    summary = (await run(load, [LOUD * 10])).summary()
    assert (summary["calls"], summary["errors"], summary["gaps"]) == (3, 0, 0)
    assert summary["greeting_ms"]["count"] == 3


@pytest.mark.parametrize(
    ("options_given", "status"), [([], 0), (["--max-first-audio-ms", "0"], 1), (["--wav", "no"], 2)]
)
async def test_the_command_line_decides_the_status(
    agent: str, capsys: pytest.CaptureFixture[str], options_given: list[str], status: int
) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    common = ["--to", TO, "--calls", "1", "--seconds", "0.4", "--json"]
    load = parser.parse_args(common + options_given)
    pytest.importorskip("py_nanotts")
    assert await main(load, agent, ACCOUNT, TOKEN) == status
    if status != 2:
        assert json.loads(capsys.readouterr().out)["calls"] == 1
