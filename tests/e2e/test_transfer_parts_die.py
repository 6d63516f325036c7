"""Parts of a running platform are killed while a call is in a dial: no media process has it, and each step is a question to
whichever control is there.
"""

import asyncio

import pytest

from sandbox.twilio import Person, farend
from tests.e2e.deployments import Deployment, deployment
from tests.support.waits import patience

__all__ = ["deployment"]
pytestmark = [pytest.mark.calls, pytest.mark.timeout(300)]
DESK, DOCTOR = "+13175550142", "+13175550143"


@pytest.fixture
def more() -> dict[str, str]:
    return {"ingress_seconds": "20"}


@pytest.mark.timeout(400)
async def test_every_part_dies_while_it_rings_and_while_they_talk(deployment: Deployment) -> None:
    call = await deployment.talking()
    (live,) = await deployment.calls()
    deployment.carrier.set_people(DESK, Person(ring_ms=600_000))
    answer = await deployment.http.post(f"/api/calls/{live['id']}/take-over", json={"to": DESK})
    assert answer.status_code == 200, answer.text
    await deployment.in_transfer(live["id"], "ringing")
    deployment.kill("media", "control", "worker")

    # It rings on; somebody else is rung instead by a control that knows of it from the database alone.
    await deployment.until(lambda _: True, 40)
    deployment.carrier.set_people(DOCTOR, farend.presses("1", after_ms=200, ring_ms=200))
    wish = {"to": DOCTOR, "accept_key": True}
    async with patience():
        while (await deployment.http.post(f"/api/calls/{live['id']}/transfer", json=wish)).status_code != 200:
            await asyncio.sleep(0.2)
    await call.journal.find("bridged")
    await deployment.in_transfer(live["id"], "connected")

    # They talk on, whatever dies, and longer than a lost call is kept.
    deployment.kill("media", "control", "worker")
    await deployment.until(lambda _: True, 40)
    await asyncio.sleep(12)  # link_lost_seconds is 10
    (still,) = await deployment.calls()
    assert (still["status"], call.is_over) == ("in_progress", False)
    deployment.kill("control")
    deployment.carrier.calls_to(DOCTOR)[-1].hang_up("caller")
    await call.ended()
    (record,) = await deployment.all_over()
    assert (record["status"], record["end_reason"]) == ("completed", "transferred")
    found = (await deployment.http.get(f"/api/calls/{live['id']}")).json()["transfers"]
    assert [each["state"] for each in found] == ["canceled", "completed"]
    assert [verb.name for verb in call.verbs] == ["Connect", "Dial", "Dial", "Hangup"]
