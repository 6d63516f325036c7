"""The whole way: a text comes in, a worker takes its turn, the model is asked over its real wire, and the reply waits to be sent."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control.app import build_worker
from control.clients.openai import OpenAI
from control.feature import ExternalClients
from control.texts import inboundtext
from control.texts.inboundtext import InboundTextLimits, Received
from hum.clock import now
from hum.settings import ControlSettings
from sandbox.openai import Model, Script
from tests.control.conftest import FakeCarrier, Silent
from tests.control.textagent.conftest import Desk
from tests.control.texts.conftest import CONTACT, NUMBER
from tests.support.waits import patience

SCRIPT: dict[str, Any] = {
    "rules": [
        {"when": "speak to", "call": {"name": "assign_to_human", "arguments": {"reason": "asked for a person"}}},
        {"when": "open", "say": "We open at nine."},
    ]
}


@pytest.mark.calls
async def test_texts_are_answered_by_a_worker(desk: Desk, tmp_path: Path) -> None:
    await desk.configure(sms_config_json='{"debounce_ms": 0}')
    async with Model.serve(api_key="k", script=Script.of(SCRIPT)) as model:
        settings = ControlSettings(
            home=tmp_path, openai_api_key="k", openai_base_url=model.url, text_turn_look_seconds=0.02
        )
        responder, carrier = OpenAI(settings, 5), FakeCarrier()
        clients = ExternalClients(carrier, Silent(), Silent(), Silent(), Silent(), responder)
        stop = asyncio.Event()
        async with build_worker(settings, desk.db.url, clients) as worker:
            task = asyncio.create_task(worker.run(stop))
            await receive(desk, "SM1", "When do you open?")
            await until(desk, "SELECT count(*) FROM text_runs WHERE status = 'replied'", 1)
            await receive(desk, "SM2", "I want to speak to somebody")
            await until(desk, "SELECT count(*) FROM text_runs WHERE finished_at IS NOT NULL", 2)
            await receive(desk, "SM3", "Please stop texting me")
            await until(desk, "SELECT count(*) FROM opt_outs WHERE opted_out", 1)
            stop.set()
            await task
        await responder.close()
    first, second, confirmed = await desk.sent()
    assert first == "We open at nine." and second.startswith("That is done.") and "unsubscribed" in confirmed
    ((reason,),) = await desk.rows("SELECT ai_paused_reason FROM conversations")
    assert reason == "assigned"
    assert len(await desk.rows("SELECT FROM text_runs")) == 2, "the sentence is no turn of the model's"


async def receive(desk: Desk, sid: str, body: str) -> None:
    text = Received(sid, "AC1", CONTACT, NUMBER, body, (), "", False, None)
    async with desk.db.system() as tx:
        assert await inboundtext.receive(tx, text, InboundTextLimits(timedelta(0), 0, 6, timedelta(hours=1)), now())


async def until(desk: Desk, query: str, count: int) -> None:
    async with patience():
        while (await desk.rows(query))[0][0] < count:
            await asyncio.sleep(0.02)
