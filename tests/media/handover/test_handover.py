"""A live call moves from one media process to another, and neither the caller nor the model notices."""

import asyncio
import contextlib
import json
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
import websockets
from structlog.testing import capture_logs

from hum.process.sockets import free_port
from hum.v1 import runtime_pb2 as pb
from media.handover import channel as wire
from media.handover import snapshot
from media.handover.channel import Channel, PeerLost
from media.handover.receiver import Predecessor
from media.handover.sender import HandoverSender, _Move
from media.io import sockethandover, toolrequests
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.handover.successors import calling, moves_with_its_socket, raw, successor
from tests.media.planes import Plane, StartPlane
from tests.support.certificate import self_signed
from tests.support.present import present
from tests.support.programs import running
from tests.support.waits import until


def numbers(control: FakeControl, call_id: str) -> list[int]:
    """The numbers of a call's reports, as control takes them: each once."""
    seen, last = [], 0
    for report in control.reports(call_id):
        if report.seq > last:
            last = report.seq
            seen.append(last)
    return seen


async def test_a_call_goes_on_in_the_next_process(first: Plane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1", recording_enabled=True)
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        await caller.speak_until(lambda: caller.at)
        old = first.media.link.node
        async with successor(first) as second:
            await until(lambda: len(second.media.server) == 1)
            assert len(first.media.server) == 0
            assert len(model.sockets) == 1, "the model's socket came along"
            await until(lambda: control.taken)
            assert control.taken == [(old, second.media.link.node, ["call_t1"])]
            answered = model.types().count("response.create")
            await caller.speak_until(lambda: model.types().count("response.create") > answered)
            control.command("call_t1", node=old, command_id="c1", instruct={"text": "Be short."})
            await until(lambda: "c1" in control.answers)
            assert control.answers["c1"] == "done"
            assert not caller.is_closed
            control.command("call_t1", node=second.media.link.node, hang_up={})
            await until(lambda: control.ended("call_t1"))
    assert present(control.ended("call_t1")).reason == "hang_up"
    assert numbers(control, "call_t1") == list(range(1, len(numbers(control, "call_t1")) + 1))
    kinds = control.kinds("call_t1")
    assert kinds.count("recording_started") == 1
    (stored,) = [each.recording for each in control.reports("call_t1") if each.WhichOneof("report") == "recording"]
    assert stored.duration_ms > 1_000
    assert not stored.fault
    assert len(list(first.given.recordings_dir.rglob("*.wav"))) == 1


async def test_a_call_stays_if_the_successor_dies_with_it(first: Plane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    control.offer("t2")
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        dying = await raw(first)
        call, descriptors = await dying.receive()
        assert isinstance(call, wire.OfferedCall)
        assert call.has_socket
        assert first.media.server.refuses() == "draining"
        control.command("call_t1", command_id="c1", instruct={"text": "Be short."})  # waits for who has the call
        await asyncio.sleep(0.1)
        assert "c1" not in control.answers
        wire.close_all(descriptors)
        dying.close()
        await until(lambda: "c1" in control.answers)
        assert control.answers["c1"] == "done"
        answered = model.types().count("response.create")
        await caller.speak_until(lambda: model.types().count("response.create") > answered)
        assert first.media.server.refuses() is None
        async with calling(first, "t2") as other, successor(first) as second:
            await until(lambda: len(second.media.server) == 2)
            await asyncio.sleep(0.1)
            assert not caller.is_closed
            assert not other.is_closed
            assert len(model.sockets) == 2


async def test_a_call_stays_if_the_successor_does_not_answer_or_does_not_want_it(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    first = await plane(handover_answer_ms=50, HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
    await until(lambda: first.given.handover_path.exists())
    control.offer("t1")
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        silent = await raw(first)
        call, descriptors = await silent.receive()
        wire.close_all(descriptors)
        assert isinstance(call, wire.OfferedCall)
        assert await silent.receive() == (wire.Retained(call.number), [])
        with pytest.raises(PeerLost):
            await silent.receive()
        unwilling = await raw(first)
        call, descriptors = await unwilling.receive()
        wire.close_all(descriptors)
        assert isinstance(call, wire.OfferedCall)
        unwilling.send(wire.Refused(call.number, "it is Tuesday"))
        assert await unwilling.receive() == (wire.Stopping(), [])
        await caller.speak_until(lambda: "response.create" in model.types())
        assert not caller.is_closed
        silent.close()
        unwilling.close()


async def test_a_state_of_another_version_drains(first: Plane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        later = await raw(first, snapshot.VERSION + 1)
        assert await later.receive() == (wire.Stopping(), [])
        await caller.speak_until(lambda: "response.create" in model.types())
        assert len(first.media.server) == 1
        assert first.media.server.refuses() == "draining"
        later.close()


async def test_the_successor_goes_on_if_the_predecessor_dies(
    first: Plane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its answer and the last word: the call is whole in the successor."""
    control.offer("t1")

    def die(sender: HandoverSender, channel: Channel, move: _Move) -> None:
        channel.close()  # as the kernel does; our copies of the sockets go as well
        sender._server.handover.calls.pop(move.shell)
        move.shell.detach()
        sockethandover.close_copy(move.sockets[0])
        raise PeerLost("dead")

    real = Channel.send
    monkeypatch.setattr(
        Channel,
        "send",
        lambda self, message, fds=(): None if isinstance(message, wire.Released) else real(self, message, fds),
    )
    monkeypatch.setattr("media.handover.sender.HandoverSender._release", die)
    monkeypatch.setattr(Channel, "is_dead", AsyncMock(return_value=True))  # both are this process
    await moves_with_its_socket(first, model)


async def test_the_predecessor_goes_on_if_its_last_word_can_not_be_sent(
    first: Plane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A successor that stalls has a full socket; nothing more reaches it, and it must not take the end for a death."""
    control.offer("t1")
    real, refused = Channel.send, []

    def send(self: Channel, message: wire.Message, descriptors: Sequence[int] = ()) -> None:
        if isinstance(message, wire.Released | wire.Retained):
            refused.append(message)
            raise PeerLost("it does not read")
        real(self, message, descriptors)

    monkeypatch.setattr(Channel, "send", send)
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        async with successor(first) as second:
            await until(lambda: len(refused) == 2)
            await asyncio.sleep(2 * wire.DYING_SECONDS)
            assert (len(first.media.server), len(second.media.server)) == (1, 0)
            await caller.speak_until(lambda: "response.create" in model.types())
            assert not caller.is_closed


async def test_who_is_listened_to_moves_when_nobody_listens(
    first: Plane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        control.listen("call_t1", "ear")
        await until(lambda: control.heard.get("ear"))
        async with successor(first) as second:
            await until(lambda: second.media.link.up)
            await asyncio.sleep(0.2)
            assert len(second.media.server) == 0
            control.leaves.set()
            await until(lambda: len(second.media.server) == 1)
            assert not caller.is_closed


async def test_a_tool_that_runs_answers_the_next_process(first: Plane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1", tools=[pb.Tool(name="stock", parameters_json="{}", timeout_ms=20_000)])
    model.tools = ["stock"]
    async with calling(first) as caller:
        await until(lambda: "session.update" in model.types())
        await caller.speak_until(lambda: control.tool_requests)
        async with successor(first) as second:
            await until(lambda: len(second.media.server) == 1)
            await until(lambda: len(control.tool_requests) == 2)  # control runs it once, and answers whoever asks
            assert control.tool_requests[0].tool_call_id == control.tool_requests[1].tool_call_id
            control.answer(control.tool_requests[1], '{"left":3}')
            await until(lambda: "tool_finished" in control.kinds("call_t1"))
            await until(lambda: any('"left":3' in json.dumps(each).replace("\\", "") for each in model.received))


@pytest.mark.parametrize("moves", [True, False])
async def test_a_tool_that_a_full_link_no_longer_takes_fails_at_once(
    plane: StartPlane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    first = await plane(**({} if moves else {"handover_answer_ms": 50}), HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
    await until(lambda: first.given.handover_path.exists())
    control.offer("t1", tools=[pb.Tool(name="stock", parameters_json="{}", timeout_ms=600_000)])
    model.tools = ["stock"]
    async with calling(first) as caller, contextlib.AsyncExitStack() as exits:
        await until(lambda: "session.update" in model.types())
        await caller.speak_until(lambda: control.tool_requests)
        monkeypatch.setattr(toolrequests, "MAX_OPEN", 0)
        if moves:
            await exits.enter_async_context(successor(first))
        else:
            silent = await raw(first)
            exits.callback(silent.close)
            wire.close_all((await silent.receive())[1])
        await until(lambda: "tool_finished" in control.kinds("call_t1"))
        await until(lambda: any("function_call_output" in json.dumps(message) for message in model.received))
        assert len(control.tool_requests) == 1
        assert not caller.is_closed


async def test_reports_that_control_does_not_have_come_along(
    first: Plane, control: FakeControl, model: FakeModel
) -> None:
    control.offer("t1")
    async with calling(first) as caller:
        await until(lambda: "started" in control.kinds())
        control.acknowledges = False
        await caller.speak_until(lambda: "turn" in control.kinds("call_t1"))
        before = [each.seq for each in control.reports("call_t1")]
        async with successor(first) as second:
            await until(lambda: len(second.media.server) == 1)
            control.acknowledges = True
            again = await until(
                lambda: [
                    each.seq
                    for node, batch in control.batches
                    for each in batch.reports
                    if node == second.media.link.node
                ]
            )
            assert again[0] in before
            assert again == sorted(again)
            control.command("call_t1", node=second.media.link.node, hang_up={})
            await until(lambda: control.ended("call_t1"))
    assert numbers(control, "call_t1") == list(range(1, len(numbers(control, "call_t1")) + 1))


async def test_a_call_that_is_joining_moves_once_it_talks(first: Plane, control: FakeControl, model: FakeModel) -> None:
    control.offer("t1")
    control.opens.clear()
    async with calling(first) as caller:
        await until(lambda: control.opened)
        async with successor(first) as second:
            await until(lambda: second.media.link.up)
            await asyncio.sleep(0.2)
            assert len(second.media.server) == 0
            control.opens.set()
            await until(lambda: len(second.media.server) == 1)
            await caller.speak_until(lambda: "response.create" in model.types())
            assert not caller.is_closed


async def test_a_bug_in_handovers_is_logged_and_ends_no_call(
    plane: StartPlane, control: FakeControl, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HandoverSender, "offer", AsyncMock(side_effect=RuntimeError("a bug")))
    control.offer("t1")
    with capture_logs() as lines:
        started = await plane(HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
        await until(lambda: [line for line in lines if line["event"].startswith("no more calls are handed over")])
    async with calling(started) as caller:
        await caller.speak_until(lambda: "response.create" in model.types())
        assert not caller.is_closed


async def test_nobody_there_is_no_predecessor(tmp_path: Path) -> None:
    assert await Predecessor.connect(tmp_path / "nothing", 1) is None
    stale = wire.listen_at(tmp_path / "stale")
    assert (tmp_path / "stale").stat().st_mode & 0o777 == 0o600
    stale.close()
    assert await Predecessor.connect(tmp_path / "stale", 1) is None
    with wire.listen_at(tmp_path / "stale"):  # a socket that nobody serves any more is replaced
        assert (
            await Predecessor.connect(tmp_path / "stale", 0.05) is None
        )  # and one that says nothing is not waited for


async def test_a_path_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with wire.listen_at(folder / "handover"):
        connection = wire.connect_to(folder / "handover")
        assert connection is not None
        connection.close()


async def test_another_users_process_gets_nothing(first: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    assert await Predecessor.connect(first.given.handover_path, 1) is None


async def test_an_encrypted_model_socket_is_dialled_anew_with_the_conversation(
    plane: StartPlane, control: FakeControl, model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with websockets.serve(model.serve, "127.0.0.1", 0, ssl=context, max_size=None, close_timeout=0.2) as served:
        port = served.sockets[0].getsockname()[1]
        base = f"https://localhost:{port}/v1"
        first = await plane(OPENAI_BASE_URL=base, HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
        await until(lambda: first.given.handover_path.exists())
        control.offer("t1")
        async with calling(first) as caller:
            await until(lambda: "session.update" in model.types())
            await caller.speak_until(lambda: "turn" in control.kinds("call_t1"))
            async with successor(first) as second:
                await until(lambda: len(model.sockets) == 2)
                await until(lambda: model.types().count("session.update") == 2)
                again = model.types().index("session.update") + 1
                await until(lambda: "hello there" in json.dumps(model.received[again:]))
                answered = model.types().count("response.create")
                await caller.speak_until(lambda: model.types().count("response.create") > answered)
                assert not caller.is_closed
                assert len(second.media.server) == 1


PROXY = """
defaults
    mode http
    timeout connect 3s
    timeout client 1m
    timeout server 1m
    timeout tunnel 2h
frontend model
    bind 127.0.0.1:{port}
    default_backend openai
backend openai
    http-request set-header Host localhost
    server openai 127.0.0.1:{model} ssl verify required ca-file {ca} verifyhost localhost sni str(localhost)
"""


@pytest.mark.nodes
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy")
async def test_an_encrypted_model_socket_moves_if_a_local_proxy_encrypts_it(
    plane: StartPlane, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with websockets.serve(model.serve, "127.0.0.1", 0, ssl=context, max_size=None, close_timeout=0.2) as served:
        port = free_port("127.0.0.1")
        config = tmp_path / "haproxy.cfg"
        config.write_text(PROXY.format(port=port, model=served.sockets[0].getsockname()[1], ca=certificate))
        async with running("haproxy", "-db", "-f", str(config)):
            base = f"http://127.0.0.1:{port}/v1"
            first = await plane(OPENAI_BASE_URL=base, HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
            await until(lambda: first.given.handover_path.exists())
            control.offer("t1")
            await moves_with_its_socket(first, model)
