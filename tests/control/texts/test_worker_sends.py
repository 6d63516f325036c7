"""A running worker sends what it is told of, without waiting for its next look."""

import asyncio
from pathlib import Path

from control.app import build_worker
from hum.settings import ControlSettings
from tests.control.conftest import FakeCarrier, outside
from tests.control.texts.conftest import Texting
from tests.control.texts.desk import TextDesk
from tests.support.waits import patience


async def test_a_text_leaves_when_it_is_written(texting: Texting, tmp_path: Path) -> None:
    """The look that would find it comes in a minute: only the notification is so quick."""
    carrier, stop = FakeCarrier(), asyncio.Event()
    desk = TextDesk(texting, carrier)
    settings = ControlSettings(home=tmp_path, text_seconds=60.0, text_segments_per_second="1000")
    async with build_worker(settings, texting.db.url, outside(carrier)) as worker:
        working = asyncio.create_task(worker.run(stop))
        async with patience():
            first = await desk.write("One")  # the worker's own first look may find this one
            while not carrier.texted:
                await asyncio.sleep(0.01)
            second = await desk.write("Two")
            while len(carrier.texted) < 2:
                await asyncio.sleep(0.01)
            while (await desk.state(second))[0] != "sent":
                await asyncio.sleep(0.01)
        assert (await desk.state(first))[0] == "sent"
        stop.set()
        await working
