"""What people ask of a live call over REST: each learns whether it was done, and it is done once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio

from control.app import build
from hum import wave
from hum.settings import ControlSettings
from hum.v1 import calls_pb2, calls_pb2_grpc, runtime_pb2, runtime_pb2_grpc
from hum.wave import BYTES_PER_MS
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.contract.test_live_stream import Media, event, events, in_progress, turn
from tests.contract.test_resumed import joined_again
from tests.control.conftest import UNLIMITED, fake_clients
from tests.support.waits import patience

TEXT = "Offer her a visit on Tuesday."


@pytest.fixture
def limits() -> dict[str, float]:
    return {
        **UNLIMITED,
        "command_seconds": 0.5,
    }


async def ask(http: httpx.AsyncClient, path: str, key: str = "", text: Any = TEXT) -> httpx.Response:
    return await http.post(f"/api/calls/{path}", json={"text": text}, headers={"Idempotency-Key": key} if key else {})


async def asked(
    media: Media, http: httpx.AsyncClient, path: str, outcome: str = "done", key: str = ""
) -> tuple[httpx.Response, runtime_pb2.CallCommand]:
    """What a request gets whose command has this outcome."""
    asking, reading = asyncio.create_task(ask(http, path, key)), asyncio.create_task(media.command())
    await asyncio.wait({asking, reading}, return_when=asyncio.FIRST_COMPLETED)
    assert not asking.done(), f"it was answered without a command: {asking}"
    media.answer(command := await reading, outcome)
    return await asking, command


def told(media: Media, command: runtime_pb2.CallCommand, at_ms: int | None = 2_500) -> int:
    """The media process reports what it did."""
    kind = command.WhichOneof("command") or ""
    dictation = getattr(command, kind)
    what = calls_pb2.Intervention(id=command.command_id, kind=kind, text=dictation.text, by=dictation.by, at_ms=at_ms)
    what.at.GetCurrentTime()
    return media.report(intervention=what)


async def audit(edge: Edge) -> list[tuple[str, list[str]]]:
    async with edge.plane.control.db.system() as tx:
        rows = await tx.fetch("SELECT action, fields FROM audit_log ORDER BY at")
    return [(row["action"], list(row["fields"])) for row in rows]


@pytest.mark.parametrize("kind", ["instruct", "say"])
async def test_what_is_asked_reaches_the_agent_and_the_record(
    edge: Edge, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    http, media, call_id = await in_progress(edge)
    answer, command = await asked(media, http, f"{call_id}/{kind}")
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["kind"], made["text"], made["by"], made["at_ms"]) == (kind, TEXT, "test", None)
    assert command.WhichOneof("command") == kind
    assert (getattr(command, kind).text, command.command_id) == (TEXT, made["id"])
    stream = events(http, call_id)
    assert [(await event(stream)).event for _ in range(2)] == ["call.state", "call.state"]
    told(media, command)
    live = await event(stream)
    assert (live.event, live.data["id"], live.data["text"], live.data["at_ms"]) == (
        "call.intervention",
        made["id"],
        TEXT,
        2_500,
    )
    (kept,) = (await http.get(f"/api/calls/{call_id}")).json()["interventions"]
    assert kept == live.data
    assert ("instructAgent" if kind == "instruct" else "sayOnCall", ["text"]) in await audit(edge)
    assert TEXT not in caplog.text


async def test_a_call_without_an_agent_takes_nothing(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    answer, _ = await asked(media, http, f"{call_id}/instruct", "over")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
    answer, _ = await asked(media, http, f"{call_id}/say", "full")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=10))
    await media.acknowledged(2)
    for path in ("instruct", "say"):
        answer = await ask(http, f"{call_id}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")


async def test_a_process_that_does_not_answer_is_told_and_asked_again_once(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    answer = await ask(http, f"{call_id}/say", "k")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    first = await media.command()
    await media.acknowledged(told(media, first))  # it was done, and only the answer was lost
    answer = await ask(http, f"{call_id}/say", "k")
    assert (answer.status_code, answer.json()["id"]) == (200, first.command_id)
    answer = await ask(http, f"{call_id}/say", "k")
    assert answer.headers["Idempotent-Replayed"] == "true"

    # Not known here yet: the process gets the same id again.
    assert (await ask(http, f"{call_id}/say", "l")).status_code == 503
    second = await media.command()
    answer, third = await asked(media, http, f"{call_id}/say", key="l")
    assert (answer.status_code, third.command_id) == (200, second.command_id)
    assert second.command_id != first.command_id


async def test_a_process_that_is_gone_does_nothing_and_says_so(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    media.link.cancel()
    async with patience():
        while (answer := await ask(http, f"{call_id}/instruct")).status_code != 409:
            assert answer.status_code == 503, "the link is just being lost"
    assert answer.json()["error"]["code"] == "invalid_state"
    over = (await http.post(f"/api/calls/{call_id}/hangup")).json()
    assert (over["status"], over["end_reason"], edge.plane.carrier.ended) == ("completed", "hang_up", ["CA1"])


@pytest.mark.parametrize("outcome", ["over", None])
async def test_a_hang_up_that_no_media_process_carries_out_is_the_carriers(edge: Edge, outcome: str | None) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    asking = asyncio.create_task(http.post(f"/api/calls/{call_id}/hangup"))
    command = await media.command()
    if outcome:
        media.answer(command, outcome)
    answer = await asking
    assert (answer.status_code, answer.json()["status"], answer.json()["end_reason"]) == (200, "completed", "hang_up")
    assert edge.plane.carrier.ended == ["CA1"]


async def test_a_call_between_two_streams_is_ended_at_the_carrier(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    async with edge.plane.control.db.system() as tx:
        await tx.execute('UPDATE calls SET next_step = \'{"type": "voicemail"}\'')
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="voicemail", at_ms=10)))
    answer = await ask(http, f"{call_id}/instruct")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
    over = (await http.post(f"/api/calls/{call_id}/hangup")).json()
    assert (over["status"], over["end_reason"], edge.plane.carrier.ended) == ("completed", "hang_up", ["CA1"])


async def test_another_control_process_carries_it_out(edge: Edge) -> None:
    """The media process is linked to the first one; the second one is asked."""
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    settings = edge.plane.settings
    second = ControlSettings(home=settings.home, control_listen="127.0.0.1:0", drain_seconds=0.2, command_seconds=5)
    from grpc import aio

    key = http.headers["Authorization"]
    async with build(second, edge.plane.control.db.url, fake_clients(edge.plane.carrier)) as other:
        async with aio.insecure_channel(f"127.0.0.1:{other.port}") as channel:
            stub = calls_pb2_grpc.CallsServiceStub(channel)
            wish = calls_pb2.InstructAgentRequest(id=call_id, text=TEXT)
            asking = asyncio.create_task(_unary(stub.InstructAgent(wish, metadata=(("authorization", key),))))
            command = await media.command()
            media.answer(command)
            assert (await asking).intervention.id == command.command_id

            # And who listens there is heard there: the sound comes to the second one directly.
            hearing = stub.ListenToCall(calls_pb2.ListenToCallRequest(id=call_id), metadata=(("authorization", key),))
            reading = asyncio.create_task(_unary(hearing.read()))
            sounding = await connected(edge, media)
            assert (await reading).data == wave.header(wave.ENDLESS)
            sounding.send(0, pcm(100, 5))
            assert (await _unary(hearing.read())).data == pcm(100, 5)
            hearing.cancel()
            await sounding.close()


async def _unary(call: Any) -> Any:
    return await call


async def test_a_text_is_bounded(edge: Edge) -> None:
    http, _, call_id = await in_progress(edge)
    for text in ("", "   \n", "a" * 1_001, "a\0b", 7, None):
        answer = await ask(http, f"{call_id}/instruct", text=text)
        assert answer.status_code == 400, text
        assert {each["field"] for each in answer.json()["error"]["details"]} == {"text"}, text


async def test_the_longest_text_of_any_script_reaches_the_process(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    asking = asyncio.create_task(ask(http, f"{call_id}/instruct", text="\U0001f600" * 1_000))
    command = await media.command()
    media.answer(command)
    assert (await asking).status_code == 200
    assert len(command.instruct.text) == 1_000


async def test_the_next_streams_agent_knows_what_it_was_told(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    media.report(turn=turn(1, calls_pb2.SPEAKER_AGENT, "Hi"))
    _, command = await asked(media, http, f"{call_id}/instruct")
    told(media, command, at_ms=1_700)
    _, dictated = await asked(media, http, f"{call_id}/say")
    told(media, dictated, at_ms=1_800)
    await media.acknowledged(media.report(turn=turn(2, calls_pb2.SPEAKER_CALLER, "Hello")))
    session = await joined_again(edge, media, call_id)
    assert [(part.role, part.text) for part in session.so_far] == [
        (calls_pb2.SPEAKER_AGENT, "Hi"),
        (calls_pb2.SPEAKER_SYSTEM, TEXT),
        (calls_pb2.SPEAKER_CALLER, "Hello"),
    ]


async def test_what_the_agent_was_told_at_an_unknown_time_is_not_the_latest(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    _, command = await asked(media, http, f"{call_id}/instruct")
    told(media, command, at_ms=None)
    await media.acknowledged(media.report(turn=turn(1, calls_pb2.SPEAKER_CALLER, "Hello")))
    session = await joined_again(edge, media, call_id)
    assert [part.text for part in session.so_far] == [TEXT, "Hello"]


async def test_who_may_not_changes_nothing(edge: Edge) -> None:
    _, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    other, viewer = await edge.client("Other"), await edge.client("Third", "viewer")
    narrow = await edge.client("Fourth", "operator", ("calls:read",))
    for path in ("instruct", "say"):
        assert (await ask(other, f"{call_id}/{path}")).status_code == 404
        assert (await ask(viewer, f"{call_id}/{path}")).status_code == 403
        assert (await ask(narrow, f"{call_id}/{path}")).status_code == 403
    assert not [each for each in await audit(edge) if each[0] in ("instructAgent", "sayOnCall")]


# --- listening ------------------------------------------------------------------------------------------------------


class Sounding:
    """The sound of one call, as its media process sends it to whoever wants it."""

    def __init__(self, edge: Edge, ear: runtime_pb2.OpenEar) -> None:
        self.channel = aio.insecure_channel(ear.address)
        self.requests: asyncio.Queue[runtime_pb2.OverhearRequest | None] = asyncio.Queue()
        self.requests.put_nowait(runtime_pb2.OverhearRequest(token=ear.token))
        stub = runtime_pb2_grpc.MediaServiceStub(self.channel)
        self.call = stub.Overhear(self._sending(), metadata=edge.plane.node("media", "m1"))

    async def _sending(self) -> AsyncIterator[runtime_pb2.OverhearRequest]:
        while (request := await self.requests.get()) is not None:
            yield request

    def send(self, at_ms: int, pcm: bytes) -> None:
        self.requests.put_nowait(runtime_pb2.OverhearRequest(sound=runtime_pb2.Sound(at_ms=at_ms, pcm=pcm)))

    async def close(self) -> None:
        self.requests.put_nowait(None)
        await self.channel.close()


def pcm(ms: int, byte: int) -> bytes:
    return bytes([byte]) * (ms * BYTES_PER_MS)


async def heard(parts: AsyncIterator[bytes], size: int) -> bytes:
    """At least so many bytes."""
    found = b""
    async with patience():
        while len(found) < size:
            found += await anext(parts)
    return found


@asynccontextmanager
async def listening(http: httpx.AsyncClient, call_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
    async with http.stream("GET", f"/api/calls/{call_id}/listen", timeout=60) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["cache-control"] == "no-store"
        yield answer.aiter_bytes()


async def connected(edge: Edge, media: Media) -> Sounding:
    command = await media.command()
    assert command.WhichOneof("command") == "listen"
    sounding = Sounding(edge, command.listen)
    media.answer(command)
    assert isinstance(await sounding.call.read(), runtime_pb2.OverhearResponse)
    return sounding


async def opened(
    edge: Edge, media: Media, http: httpx.AsyncClient, call_id: str, stack: AsyncExitStack
) -> tuple[AsyncIterator[bytes], Sounding]:
    asking = asyncio.create_task(stack.enter_async_context(listening(http, call_id)))
    sounding = await connected(edge, media)
    stack.push_async_callback(sounding.close)
    return await asking, sounding


async def test_who_listens_hears_both_sides_on_the_calls_clock_until_it_is_over(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    async with AsyncExitStack() as stack:
        parts, sounding = await opened(edge, media, http, call_id, stack)
        sounding.send(1_000, pcm(100, 1))
        sounding.send(1_150, pcm(100, 2))  # 50 ms were lost on the way
        sounding.send(1_200, pcm(100, 3))  # and 50 ms come twice
        wanted = wave.header(wave.ENDLESS) + pcm(100, 1) + pcm(50, 0) + pcm(100, 2) + pcm(50, 3)
        assert await heard(parts, len(wanted)) == wanted
        sounding.requests.put_nowait(None)
        media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9_000))
        async with patience():
            rest = b"".join([part async for part in parts])
    assert rest.count(0) == len(rest), "nothing but silence follows"
    again = await http.get(f"/api/calls/{call_id}/listen")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "invalid_state")
    async with patience():
        while [name for name, _ in await audit(edge)][-2:] != ["listenToCall", "stopListeningToCall"]:
            await asyncio.sleep(0.02)


async def test_a_listener_who_leaves_costs_nothing_and_another_stays(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    async with AsyncExitStack() as stay, AsyncExitStack() as leave:
        staying, first = await opened(edge, media, http, call_id, stay)
        asking = asyncio.create_task(leave.enter_async_context(listening(http, call_id)))
        second = await connected(edge, media)
        stay.push_async_callback(second.close)
        leaving = await asking
        for sounding in (first, second):
            sounding.send(0, pcm(100, 7))
        await heard(leaving, 3_000)
        await leave.aclose()
        async with patience():
            assert await second.call.read() is aio.EOF, "its stream is ended"
        first.send(100, pcm(100, 8))
        assert (await heard(staying, 44 + 2 * 3_200))[-3_200:] == pcm(100, 8)


async def test_the_next_stream_is_heard_as_well_after_a_silence(edge: Edge) -> None:
    """The media process dies; another one has the call then."""
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    async with AsyncExitStack() as stack:
        parts, sounding = await opened(edge, media, http, call_id, stack)
        sounding.send(0, pcm(100, 1))
        await heard(parts, 44 + 3_200)
        sounding.call.cancel()
        async with edge.plane.control.db.system() as tx:
            await tx.execute("UPDATE call_streams SET opened_at = opened_at - interval '1 second'")
        await joined_again(edge, media, call_id)
        again = Media(edge, "m2")
        sounding = await connected(edge, again)
        stack.push_async_callback(sounding.close)
        sounding.send(20_000, pcm(100, 9))
        found = b""
        async with patience():
            while pcm(100, 9) not in found:
                found += await anext(parts)
        silence = found.index(pcm(100, 9))
        assert silence >= len(pcm(20_900, 0)), "by the call's clock, which goes on between its streams"
        assert found[:silence].count(0) == silence


async def test_a_call_that_rings_is_silent_until_it_is_answered(edge: Edge) -> None:
    http = await flow_with_number(edge)
    await post(edge, "/twilio/voice", CALL)
    (call,) = (await http.get("/api/calls")).json()["calls"]
    head = await http.head(f"/api/calls/{call['id']}/listen")
    assert (head.status_code, head.headers["content-type"], head.content) == (200, "audio/wav", b"")
    async with listening(http, call["id"]) as parts:
        assert not (await heard(parts, 44 + 3_200)).removeprefix(wave.header(wave.ENDLESS)).strip(b"\0")
        await post(edge, "/twilio/voice/status", {**CALL, "CallStatus": "completed"})
        async with patience():
            assert not b"".join([part async for part in parts]).strip(b"\0")


async def test_who_loses_access_hears_no_more(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    key = (await http.get("/api/api-keys")).json()["api_keys"][0]
    async with AsyncExitStack() as stack:
        parts, sounding = await opened(edge, media, http, call_id, stack)
        sounding.send(0, pcm(100, 7))
        await heard(parts, 3_000)
        assert (await http.delete(f"/api/api-keys/{key['id']}")).status_code == 204
        with pytest.raises(httpx.RemoteProtocolError):
            async with patience():
                async for _ in parts:
                    pass
        async with patience():
            assert await sounding.call.read() is aio.EOF


async def test_a_process_that_does_not_come_is_no_silence_without_an_end(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    asking = asyncio.create_task(http.get(f"/api/calls/{call_id}/listen"))
    media.answer(await media.command())
    assert ((await asking).status_code, (await asking).json()["error"]["code"]) == (503, "unavailable")
    asking = asyncio.create_task(http.get(f"/api/calls/{call_id}/listen"))
    media.answer(await media.command(), "full")
    assert ((await asking).status_code, (await asking).json()["error"]["code"]) == (429, "rate_limited")


async def test_a_token_is_of_one_listener_and_one_use(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    async with AsyncExitStack() as stack:
        asking = asyncio.create_task(stack.enter_async_context(listening(http, call_id)))
        command = await media.command()
        sounding, thief = Sounding(edge, command.listen), None
        stack.push_async_callback(sounding.close)
        assert isinstance(await sounding.call.read(), runtime_pb2.OverhearResponse)
        for token in (command.listen.token, "guessed", ""):
            thief = Sounding(edge, runtime_pb2.OpenEar(address=command.listen.address, token=token))
            with pytest.raises(aio.AioRpcError) as refused:
                await thief.call.read()
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            await thief.close()
        media.answer(command)
        await asking


async def test_who_may_not_listen_hears_nothing(edge: Edge) -> None:
    _, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    other, viewer = await edge.client("Other"), await edge.client("Third", "viewer")
    narrow = await edge.client("Fourth", "operator", ("contacts:read",))
    assert [(await each.get(f"/api/calls/{call_id}/listen")).status_code for each in (other, viewer, narrow)] == [
        404,
        403,
        403,
    ]
    assert not [name for name, _ in await audit(edge) if name == "listenToCall"]


async def test_a_person_hands_a_call_to_another_flow(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    prompt = "You do bills. " + "Be kind. " * 3_000  # more than a message of the bus takes
    billing = (await http.post("/api/flows", json={"name": "B", "system_prompt": prompt})).json()["id"]
    asking = asyncio.create_task(http.post(f"/api/calls/{call_id}/transfer", json={"flow_id": billing}))
    command = await media.command()
    assert (command.switch.flow_id, command.switch.flow_version) == (billing, 1)
    assert command.switch.session.instructions.startswith("You do bills.")
    media.answer(command, "done")
    answer = await asking
    assert (answer.status_code, answer.json()["id"]) == (200, call_id)
    assert ("transferCall", ["flow_id"]) in await audit(edge)

    asking = asyncio.create_task(http.post(f"/api/calls/{call_id}/transfer", json={"flow_id": billing}))
    media.answer(await media.command(), "over")
    assert (await asking).json()["error"]["code"] == "invalid_state"
    silent = await http.post(f"/api/calls/{call_id}/transfer", json={"flow_id": billing})
    assert silent.status_code == 503, "nobody knows whether it was done"


async def test_a_call_is_handed_to_nothing_else(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await media.acknowledged(1)
    texts = (await http.post("/api/flows", json={"name": "T", "channel": "sms"})).json()["id"]
    others = await edge.client("Other")
    foreign = (await others.post("/api/flows", json={"name": "F"})).json()["id"]
    for body in (
        {"flow_id": texts},
        {"flow_id": foreign},
        {"flow_id": "flow_x"},
        {"flow_id": texts, "to": "+14155550123"},
    ):
        answer = await http.post(f"/api/calls/{call_id}/transfer", json=body)
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "flow_id"), body
