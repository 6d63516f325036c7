"""A worker that dies at any step of a delivery: nothing is lost, and a receiver sees at most one repetition, with the same id."""

import asyncio
import signal
import sys

import pytest

from control.webhooks.posting import STEPS
from sandbox.receiver import ReceiverFault, Reply
from tests.control.webhooks.conftest import Hooked, received

pytestmark = pytest.mark.chaos
#: The request is at the receiver, and no answer is on its way: not a step of ours, so the receiver says when.
SENT = "sent"


@pytest.mark.parametrize(
    ("step", "requests"), [("claimed", 1), ("sending", 1), (SENT, 2), ("answered", 2), ("recorded", 1)]
)
async def test_killed_at(hooked: Hooked, database_url: str, step: str, requests: int) -> None:
    assert step in {*STEPS, SENT}
    webhook = await hooked.webhook()
    if step == SENT:
        hooked.receiver.say("/hook", Reply(fault=ReceiverFault.HANG))
    await hooked.happen(received())
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.control.webhooks.child", database_url, step
    )
    if step == SENT:
        await hooked.receiver.wait(1, "/hook", 60)
        child.kill()
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    (delivery,) = await hooked.until_settled(webhook)  # its lease ends, and another sender takes it
    heard = hooked.receiver.at("/hook")
    assert (delivery.state, len(heard)) == ("delivered", requests)
    assert len({(each.headers["webhook-id"], each.headers["x-hum-delivery"], each.body) for each in heard}) == 1
