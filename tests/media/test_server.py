"""Which streams are accepted, and how malformed ones end."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
import websockets

from media import metrics
from media.modelconnection import ModelConnection
from media.ticker import LoopLoad
from sandbox.twilio import sign
from tests.media.audio import tone
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import CALL_SID, TOKEN, Line, MakeSettings, Plane, Ring, StartPlane
from tests.support.present import present
from tests.support.waits import until


async def refused(line: AbstractAsyncContextManager[Line]) -> int:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with line:
            pass
    return refusal.value.response.status_code


async def test_a_signature_opens_the_door(plane: StartPlane) -> None:
    media = await plane()
    assert await refused(media.line(signature="")) == 403
    assert await refused(media.line(signature=sign("another token", media.url))) == 403
    assert await refused(media.line(signature=sign(TOKEN, media.url + "?token=t1"))) == 403
    async with media.line():
        await until(lambda: len(media.media.server) == 1)
    async with media.line(signature=sign("new token", media.url)):
        pass
    await until(lambda: len(media.media.server) == 0)


async def test_the_url_is_the_public_one_with_or_without_its_standard_port(plane: StartPlane) -> None:
    media = await plane(HUM_MEDIA_URL="wss://media.example.com")
    local = f"ws://127.0.0.1:{media.media.port}/media/twilio"
    for public in ("wss://media.example.com/media/twilio", "wss://media.example.com:443/media/twilio"):
        async with media.line(signature=sign(TOKEN, public), url=local):
            pass
    assert await refused(media.line(signature=sign(TOKEN, local), url=local)) == 403


async def test_there_is_one_path_and_what_operators_ask(plane: StartPlane, control: FakeControl) -> None:
    media = await plane(ready_cache_seconds=0)
    assert await refused(media.line(url=media.url + "/other")) == 404
    await until(lambda: media.media.link.up)
    operator = f"http://127.0.0.1:{media.media.metrics_port}"
    async with httpx.AsyncClient(base_url=media.http) as http:
        for url in ("", operator):
            assert (
                (await http.get(f"{url}/healthz")).status_code == (await http.get(f"{url}/readyz")).status_code == 200
            )
        page = await http.get(f"{operator}/metrics")
        assert (await http.get("/metrics")).status_code == 404  # not where strangers are
        for name in ("hum_media_calls 0.0", 'hum_media_frames_total{direction="in"}', "hum_media_link_up 1.0"):
            assert name in page.text
        await control.stop()
        await until(lambda: not media.media.link.up)
        assert (await http.get("/readyz")).status_code == 503
        away = await http.get(f"{operator}/readyz")
        assert (away.status_code, away.text) == (503, "the link to control is down\n")
    await control.start()


async def asked(port: int, *pieces: bytes) -> bytes:
    """What the listener answers to these pieces, each of them a segment of its own, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_health_checks_may_come_in_http_1_0(plane: StartPlane, control: FakeControl) -> None:
    media = await plane()
    port = media.media.port
    await until(lambda: media.media.link.up)
    for pieces in ([b"GET /readyz HTTP/1.0\r\n\r\n"], [b"GET /rea", b"dyz HTTP/1.0", b"\r\nHost: x\r", b"\n\r\n"]):
        head, _, body = (await asked(port, *pieces)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and body == b"ready\n"
    assert (await asked(port, b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    for other in (
        b"GET /media/twilio HTTP/1.0",
        b"GET /other HTTP/1.0",
        b"POST /readyz HTTP/1.0",
        b"GET /readyz HTTP/0.9",
    ):
        assert (await asked(port, other + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 "), other
    media.media.server.draining = True
    assert (await asked(port, b"GET /readyz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 503 ")


async def test_a_line_without_an_end_waits_no_longer_than_a_request(plane: StartPlane) -> None:
    media = await plane(start_seconds=0.2)
    assert await asked(media.media.port, b"GET /ready") == b""
    flood = await asked(media.media.port, b"G" * 100_000)
    assert flood == b"", "as picows ends a head that is too long"


async def test_a_full_house_takes_no_more(plane: StartPlane, control: FakeControl) -> None:
    for token in ("t1", "t2", "t3"):
        control.offer(token)
    media = await plane(HUM_MAX_CALLS=1)
    await until(lambda: media.media.link.up)
    async with media.line() as early, httpx.AsyncClient(base_url=media.http) as http:
        async with media.joined("t1") as call:
            await until(lambda: "started" in control.kinds())
            assert await refused(media.line()) == 503
            assert (await http.get("/readyz")).status_code == 503
            await early.start(token="t2")
            assert await early.closed() == 1013, "it was let in while there was room"
            await call.say("stop")
            assert await call.closed() == 1000
        await until(lambda: len(media.media.server) == 0)
        assert (await http.get("/readyz")).status_code == 200
        async with media.joined("t3"):
            await until(lambda: "started" in control.kinds("call_t3"))
    assert [each.token for each in control.opened] == ["t1", "t3"]


async def test_a_process_that_lags_takes_no_more(plane: StartPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    media = await plane(max_lag_ms=30, loaded_share=0)
    monkeypatch.setattr(media.media.server, "_load", lambda: LoopLoad(worst_ms=20.0, usual_ms=0.5, used=0.1))
    async with media.line():
        await until(lambda: len(media.media.server) == 1)
    monkeypatch.setattr(media.media.server, "_load", lambda: LoopLoad(worst_ms=80.0, usual_ms=0.5, used=0.1))
    assert await refused(media.line()) == 503


@pytest.mark.parametrize(
    ("load", "takes"),
    [
        (LoopLoad(worst_ms=1_000.0, usual_ms=200.0, used=0.1), True),
        (LoopLoad(worst_ms=1_000.0, usual_ms=0.5, used=0.6), False),
        (LoopLoad(worst_ms=20.0, usual_ms=0.5, used=0.9), True),
    ],
    ids=["others are to blame", "it is late by itself", "it is busy and on time"],
)
async def test_lateness_counts_when_the_process_itself_is_busy(
    plane: StartPlane, monkeypatch: pytest.MonkeyPatch, load: LoopLoad, takes: bool
) -> None:
    media = await plane(max_lag_ms=120, max_late_ms=3)
    monkeypatch.setattr(media.media.server, "_load", lambda: load)
    await until(lambda: media.media.link.up)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{media.media.port}") as http:
        assert (await http.get("/readyz")).status_code == (200 if takes else 503)
    if takes:
        async with media.line():
            await until(lambda: len(media.media.server) == 1)
    else:
        assert await refused(media.line()) == 503


async def test_lateness_counts_when_many_calls_are_carried(
    plane: StartPlane, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.offer("t1")
    control.offer("t2")
    media = await plane(HUM_MAX_CALLS=4, max_late_ms=3)
    monkeypatch.setattr(media.media.server, "_load", lambda: LoopLoad(worst_ms=20.0, usual_ms=3.5, used=0.1))
    async with media.joined("t1"), media.joined("t2"):
        await until(lambda: media.media.server.streams.calls == 2)
        assert await refused(media.line()) == 503


async def test_a_process_that_is_usually_late_takes_no_more(plane: StartPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    media = await plane(max_late_ms=3)
    monkeypatch.setattr(media.media.server, "_load", lambda: LoopLoad(worst_ms=20.0, usual_ms=3.5, used=0.6))
    assert await refused(media.line()) == 503
    monkeypatch.setattr(media.media.server, "_load", lambda: LoopLoad(worst_ms=20.0, usual_ms=2.5, used=0.6))
    async with media.line():
        await until(lambda: len(media.media.server) == 1)


async def closed_with(
    media: Plane, control: FakeControl, model: FakeModel, *, token: str | None = None, call_sid: str = CALL_SID
) -> int | None:
    async with media.line() as line:
        await line.start(call_sid, **({"token": token} if token else {}))
        code = await line.closed()
    await until(lambda: len(media.media.server) == 0)
    assert model.dials == []
    assert control.reports() == []
    return code


async def test_only_the_calls_own_token_opens_its_stream(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane()
    control.offer("t1", call_sid="CA" + "9" * 32)
    assert await closed_with(media, control, model) == 1008
    assert await closed_with(media, control, model, token="never made") == 1008
    assert await closed_with(media, control, model, token="t1") == 1008  # another call's: it is spent now
    assert await closed_with(media, control, model, token="t1", call_sid="CA" + "9" * 32) == 1008


async def test_a_stream_that_does_not_start_is_closed(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane(start_seconds=0.1)
    async with media.line() as line:
        await line.say("connected")
        assert await line.closed() == 1008
    assert model.dials == []


async def test_a_stream_without_control_is_closed(plane: StartPlane, control: FakeControl, model: FakeModel) -> None:
    media = await plane(session_seconds=0.2)
    await control.stop()
    async with media.line() as line:
        await line.start(token="t1")
        assert await line.closed() == 1013
    assert model.dials == []
    await control.start()


@pytest.mark.parametrize(
    "first", ['{"event":"media","media":{"payload":"/w==","timestamp":"0"}}', "what", '{"event":"mark"}']
)
async def test_a_stream_begins_with_start(
    plane: StartPlane, control: FakeControl, model: FakeModel, first: str
) -> None:
    media = await plane()
    async with media.line() as line:
        await line.connection.send(first)
        assert await line.closed() == 1002
    assert model.dials == []


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        ("what", "JSON is malformed"),
        ('{"event":"media","media":{"payload":"/w==","timestamp":"soon"}}', "timestamp"),
        ('{"event":"start"}', "no body"),
        ('{"event":"dtmf","dtmf":{"digit":"x"}}', "dtmf.digit"),
    ],
)
async def test_nonsense_ends_the_call_and_is_recorded(
    plane: StartPlane, control: FakeControl, model: FakeModel, said: str, detail: str
) -> None:
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        await line.connection.send(said)
        assert await line.closed() == 1002
    ended = present(control.ended("call_t1"))
    assert ended.reason == "carrier_protocol"
    assert detail in ended.detail


async def test_a_second_start_ends_the_call(plane: StartPlane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        await line.start(token="t1")
        assert await line.closed() == 1002
    assert (present(control.ended("call_t1")).reason, present(control.ended("call_t1")).detail) == (
        "carrier_protocol",
        "a second start",
    )


@pytest.mark.parametrize("pieces", [False, True])
async def test_a_frame_that_is_too_big_ends_the_stream(
    plane: StartPlane, control: FakeControl, model: FakeModel, pieces: bool
) -> None:
    control.offer("t1")
    media = await plane(max_frame_bytes=2_048)
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        text = json.dumps({"event": "media", "media": {"payload": "A" * 3_000, "timestamp": "0"}})
        await line.connection.send([text[:1_500], text[1_500:]] if pieces else text)
        assert await line.closed() == 1009
    ended = await until(lambda: control.ended("call_t1"))
    assert (ended.reason, ended.detail) == ("carrier_protocol", "a message is too big")


async def test_a_message_in_pieces_is_joined(plane: StartPlane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        await line.connection.send(['{"event":', '"dtmf","dtmf":', '{"digit":"#"}}'])
        report = await until(lambda: next((each for each in control.reports() if each.digits.digits), None))
        assert report.digits.digits == "#"


async def test_a_socket_that_vanishes_is_a_lost_carrier(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    control.offer("t1")
    media = await plane()
    call = await ring(media, [], stay=True)
    await until(lambda: call.open_stream is not None and bool(model.dials))
    call.vanish()
    ended = await until(lambda: control.ended("call_t1"))
    assert ended.reason == "carrier_lost"
    call.hang_up()
    await call.ended()
    await until(lambda: not any(each.state is websockets.State.OPEN for each in model.sockets))


async def test_a_half_open_socket_is_noticed_by_its_silence(
    plane: StartPlane, control: FakeControl, model: FakeModel, ring: Ring
) -> None:
    control.offer("t1")
    media = await plane(silent_seconds=0.3)
    call = await ring(media, [], stay=True)
    await until(lambda: call.open_stream is not None and bool(model.dials))
    call.freeze()
    ended = await until(lambda: control.ended("call_t1"))
    assert ended.reason == "carrier_lost"
    await until(lambda: len(media.media.server) == 0)
    call.hang_up()
    await call.ended()


async def test_frames_that_come_before_the_session_are_kept_in_order(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    control.opens.clear()
    media = await plane()
    async with media.joined() as line:
        frames = [tone(20, hz=300 + 10 * number) for number in range(20)]
        for frame in frames:
            await line.media(frame)
        await until(lambda: metrics.FRAMES.received >= 22)
        control.opens.set()
        await until(lambda: model.heard() == b"".join(frames))


async def test_a_carrier_that_is_gone_before_the_session_opens_is_recorded(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    control.opens.clear()
    media = await plane()
    async with media.joined() as line:
        line.connection.transport.abort()
        control.opens.set()
        ended = await until(lambda: control.ended("call_t1"))
    assert ended.reason == "carrier_lost"
    assert model.dials == []


async def test_a_flow_that_can_not_be_read_is_told(plane: StartPlane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1", turn_config_json='{"no_such_setting": 1}')
    media = await plane()
    async with media.joined() as line:
        assert await line.closed() == 1011
    assert "is not valid" in present(control.ended("call_t1")).detail
    assert model.dials == []


async def test_a_bug_in_one_call_ends_that_call_alone(
    plane: StartPlane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = await plane()
    for token in ("t1", "t2"):
        control.offer(token)
    async with media.joined("t1") as one, media.joined("t2") as other:
        await until(lambda: control.kinds().count("started") == 2)
        (sick,) = (each for each in media.media.server.streams.open if each.call_id == "call_t1")

        class Broken(ModelConnection):
            @property
            def socket(self) -> Any:  # type: ignore[override]
                raise ZeroDivisionError

            def drop(self) -> None:
                pass

        monkeypatch.setattr(sick, "_model_connection", object.__new__(Broken))
        for _ in range(10):  # quiet frames go to the model in groups
            await one.media()
        assert await one.closed() == 1011
        assert present(control.ended("call_t1")).detail == "internal error"
        assert control.ended("call_t2") is None
        await other.say("stop")
        assert await other.closed() == 1000


async def test_a_drain_waits_for_calls_then_ends_them(
    plane: StartPlane, control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    control.offer("t1")
    media = await plane(HUM_DRAIN_SECONDS=0.3)
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        draining = asyncio.create_task(media.media.server.drain(0.3, 5.0))
        await until(lambda: media.media.server.draining)
        assert await refused(media.line()) == 503
        assert control.ended("call_t1") is None
        assert await line.closed() == 1000
        await draining
    assert present(control.ended("call_t1")).reason == "drained"


async def test_a_call_that_is_ended_while_its_session_opens_ends_then(plane: StartPlane, control: FakeControl) -> None:
    control.offer("t1")
    control.opens.clear()
    media = await plane()
    async with media.joined() as line:
        await until(lambda: control.opened)
        (shell,) = media.media.server.streams.open
        shell.end("drained", spoken=True)
        shell.end("drained")
        control.opens.set()
        assert await line.closed() == 1000
    assert present(control.ended("call_t1")).reason == "drained"


async def test_a_drain_ends_with_the_last_call(plane: StartPlane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    media = await plane()
    async with media.joined() as line:
        await until(lambda: "started" in control.kinds())
        draining = asyncio.create_task(media.media.server.drain(60, 5.0))
        await line.say("stop")
        await draining
    assert present(control.ended("call_t1")).reason == "caller"
