"""After a thousand calls with every kind of ending the process holds exactly what it held before."""

import asyncio
import contextlib
import gc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import websockets

from hum.v1 import runtime_pb2 as pb
from media import metrics
from tests.media.audio import voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import TOKEN, Line, Plane, StartPlane
from tests.support.present import present
from tests.support.waits import until

pytestmark = [pytest.mark.strain, pytest.mark.timeout(600)]
AT_ONCE, ROUNDS = 16, 4  # with the warm-up, a thousand calls
#: The objects of a call, ours and the libraries'.
KINDS = frozenset(
    "Shell TwilioLeg ModelSocket ModelConnection CallOutput Conversation Floor TurnSession TurnSide ToolCalls Voice Playout HeardPosition Item "
    "Segment Reports Recorder "
    "_Detector WSTransport WSProtocol WSProtocolBase TimerHandle TCPTransport Transport".split()
)
GREETING = pb.Clip(kind="greeting", text="Hello there.", audio_ulaw=voice(800))


def held() -> dict[str, Any]:
    """File descriptors, tasks, gauges, and a call's live objects."""
    gc.collect()
    ours = (each for each in gc.get_objects() if type(each).__name__ in KINDS)
    mine = (
        each for each in ours if type(each).__module__.partition(".")[0] in {"media", "picows", "uvloop", "aiofastnet"}
    )
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "tasks": Counter(task.get_name().rstrip("0123456789") for task in asyncio.all_tasks()),
        "calls": metrics.CALLS._value.get(),
        "spool": metrics.SPOOL_DEPTH._value.get(),
        "objects": Counter(type(each).__name__ for each in mine),
    }


async def started(control: FakeControl, line: Line, token: str) -> None:
    await line.start(token=token)
    await until(lambda: control.kinds(f"call_{token}"))
    for _ in range(5):
        await line.media(voice(20))


async def alive_until_it_ends(control: FakeControl, line: Line, token: str) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        while not control.ended(f"call_{token}"):
            await line.media()
            await asyncio.sleep(0.02)
    await until(lambda: control.ended(f"call_{token}"))


async def hangs_up(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        await line.say("stop")
        assert await line.closed() == 1000


async def vanishes(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        line.connection.transport.abort()
        await until(lambda: control.ended(f"call_{token}"))


async def vanishes_before_the_session(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await line.start(token=token)
        line.connection.transport.abort()


async def falls_silent(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        await until(lambda: control.ended(f"call_{token}"))
        assert present(control.ended(f"call_{token}")).reason == "carrier_lost"


async def sends_too_much(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        await line.connection.send("x" * 70_000)
        assert await line.closed() == 1009


async def talks_nonsense(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        await line.connection.send("what")
        assert await line.closed() == 1002


async def has_the_wrong_token(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await line.start(token=f"not {token}")
        assert await line.closed() == 1008


async def is_not_signed(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with media.line(signature=""):
            pass


async def never_starts(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        assert await line.closed() == 1008


async def loses_its_model(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        model.status = 503
        for socket in model.sockets:
            socket.transport.abort()
        await alive_until_it_ends(control, line, token)
        assert present(control.ended(f"call_{token}")).reason == "model_lost"


async def is_refused_by_the_model(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    model.status = 401
    async with media.line() as line:
        await line.start(token=token)
        await alive_until_it_ends(control, line, token)
        assert present(control.ended(f"call_{token}")).reason == "model_refused"


async def is_hung_up_by_control(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        await started(control, line, token)
        control.command(f"call_{token}", hang_up=pb.HangUpNow())
        assert await line.closed() == 1000


async def is_drained(media: Plane, control: FakeControl, model: FakeModel, token: str) -> None:
    async with media.line() as line:
        with contextlib.suppress(websockets.ConnectionClosed):  # another may begin the drain while this one speaks
            await started(control, line, token)
        await until(lambda: len(media.media.server) == AT_ONCE or media.media.server.draining)
        await media.media.server.drain(0, 0.2)
        await line.closed()


ENDINGS = (
    hangs_up,
    vanishes,
    vanishes_before_the_session,
    falls_silent,
    sends_too_much,
    talks_nonsense,
    has_the_wrong_token,
    is_not_signed,
    never_starts,
    loses_its_model,
    is_refused_by_the_model,
    is_hung_up_by_control,
    is_drained,
)


async def every_ending(media: Plane, control: FakeControl, model: FakeModel, name: str) -> None:
    for ending in ENDINGS:
        tokens = [f"{name}-{ending.__name__}-{number}" for number in range(AT_ONCE)]
        for token in tokens:
            control.offer(token, clips=[GREETING], recording_enabled=True)
        await asyncio.gather(*(ending(media, control, model, token) for token in tokens))
        await until(lambda: len(media.media.server) == 0)
        media.media.server.leaving = media.media.server.draining = False
        model.status = None
        model.sockets.clear()


async def test_what_is_counted_is_there_while_a_call_lasts(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane()
    before = held()
    control.offer("t1", clips=[GREETING])
    async with media.line() as line:
        await started(control, line, "t1")
        await until(lambda: model.dials)
        during = held()
        assert during["descriptors"] > before["descriptors"]
        assert during["calls"] == before["calls"] + 1
        for kind in ("Shell", "TwilioLeg", "Conversation", "Playout", "Item", "Segment", "WSTransport"):
            assert during["objects"][kind] > before["objects"][kind], kind


async def test_nothing_is_left_of_a_call_whatever_its_end(
    plane: StartPlane, control: FakeControl, model: FakeModel
) -> None:
    media = await plane(
        silent_seconds=5,  # longer than a busy machine lets the test's own lines wait
        start_seconds=0.5,
        model_losses_per_minute=0,
        TWILIO_AUTH_TOKEN=TOKEN,
    )
    await until(lambda: media.media.link.up)
    await every_ending(media, control, model, "warm up")
    await until(lambda: metrics.SPOOL_DEPTH._value.get() == 0)
    before = held()
    for number in range(ROUNDS):
        await every_ending(media, control, model, str(number))
    await until(lambda: metrics.SPOOL_DEPTH._value.get() == 0)
    with contextlib.suppress(TimeoutError):  # the comparison says more
        await until(lambda: held() == before)
    assert held() == before
    assert not media.media.link.outbox._callbacks and not media.media.link._tools
    assert not media.media.server._early_commands
