"""The model's socket."""

import asyncio
import socket

import pytest

from media.core.modelmessages import ModelEvent, ReplaceInstructions, SessionBegun, TurnModel
from media.io.modelsocket import MAX_EVENT_BYTES, Dialler, ModelSocket, SessionRefused, Unreachable
from media.models.wires import wire_of
from media.modelwire import ModelWire
from tests.media.fakemodel import FakeModel
from tests.media.planes import MakeSettings
from tests.support.waits import until


def wire(model: str = "m") -> ModelWire:
    return wire_of(TurnModel(model, "v", "t"))


class Ear:
    def __init__(self) -> None:
        self.events: list[ModelEvent] = []
        self.gone: list[str] = []

    def from_model(self, socket: ModelSocket, event: ModelEvent) -> None:
        self.events.append(event)

    def model_gone(self, socket: ModelSocket, reason: str) -> None:
        self.gone.append(reason)


def test_the_socket_is_where_the_api_is() -> None:
    assert wire("gpt-realtime-2.1").url("https://api.openai.com/v1") == (
        "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    )
    assert wire("a&b").url("http://127.0.0.1:9/v1/") == "ws://127.0.0.1:9/v1/realtime?model=a%26b"


async def test_events_come_and_messages_go(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    opened = await Dialler(settings())(wire(), ear)
    opened.listen()
    await until(lambda: ear.events)
    opened.send(ReplaceInstructions("Be kind."))
    await until(lambda: len(ear.events) == 2)
    opened.drop()
    await until(lambda: model.sockets[0].close_code)
    assert model.sockets[0].close_code == 1000
    assert ear.gone == []


async def test_a_closed_socket_says_so_once(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    (await Dialler(settings())(wire(), ear)).listen()
    await until(lambda: model.sockets)
    await model.sockets[0].close(4000, "session too long")
    await until(lambda: ear.gone)
    assert ear.gone == ["closed 4000"]


async def test_a_cut_connection_is_lost(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    (await Dialler(settings())(wire(), ear)).listen()
    await until(lambda: model.sockets)
    model.sockets[0].transport.abort()
    await until(lambda: ear.gone)
    assert ear.gone == ["disconnected"]


async def test_a_server_that_is_gone_without_a_word_is_lost(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    (await Dialler(settings(model_ping_seconds=0.2))(wire(), ear)).listen()
    await until(lambda: ear.events)
    await asyncio.sleep(1)
    assert ear.gone == [], "it answers pings"
    model.sockets[0].transport.pause_reading()
    await until(lambda: ear.gone)
    assert ear.gone == ["disconnected"]


async def test_a_server_that_takes_nothing_is_lost(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    opened = await Dialler(settings())(wire(), ear)
    opened.listen()
    await until(lambda: model.sockets)
    model.sockets[0].transport.pause_reading()
    while not ear.gone:
        opened.send(ReplaceInstructions("a" * 100_000))
        await asyncio.sleep(0)
    assert ear.gone == ["congested"]


async def test_what_comes_before_somebody_listens_is_kept(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    opened = await Dialler(settings())(wire(), ear)
    await until(lambda: model.sockets)
    await model.sockets[0].close(1000)
    await until(lambda: opened._early_reason)
    assert (ear.events, ear.gone) == ([], [])
    opened.listen()
    assert ear.events[0] == SessionBegun()
    assert ear.gone == ["closed 1000"]


async def test_an_event_in_pieces_that_is_too_long_is_the_last(settings: MakeSettings, model: FakeModel) -> None:
    ear = Ear()
    (await Dialler(settings())(wire(), ear)).listen()
    await until(lambda: ear.events)
    await model.sockets[0].send(["a" * MAX_EVENT_BYTES, "a"])
    await until(lambda: ear.gone)
    assert ear.gone == ["too_much"]
    assert len(ear.events) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SessionRefused), (403, SessionRefused), (404, SessionRefused), (429, Unreachable), (503, Unreachable)],
)
async def test_a_refusal_is_told_from_a_bad_day(
    settings: MakeSettings, model: FakeModel, status: int, error: type[SessionRefused | Unreachable]
) -> None:
    model.status = status
    with pytest.raises(error, match=str(status)) as raised:
        await Dialler(settings())(wire(), Ear())
    assert "sk-secret" not in str(raised.value)


async def test_nobody_there_and_nobody_answering_are_unreachable(settings: MakeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/v1"
        with pytest.raises(Unreachable, match="TimeoutError"):
            await Dialler(settings(OPENAI_BASE_URL=url, dial_seconds=0.1))(wire(), Ear())
    with pytest.raises(Unreachable, match="Refused"):
        await Dialler(settings(OPENAI_BASE_URL=url))(wire(), Ear())


async def test_a_connection_that_is_cut_in_the_handshake_is_no_socket(settings: MakeSettings) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with await asyncio.start_server(cut, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(Unreachable, match="in the handshake"):
            await Dialler(settings(OPENAI_BASE_URL=url))(wire(), Ear())
