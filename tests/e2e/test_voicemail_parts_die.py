"""Parts of a running platform are killed while a caller leaves a message: what they have said is kept, once."""

import asyncio
import io
import wave
from typing import Any

import pytest

from media.core.audio import to_linear
from media.core.beep import BEEP_HZ
from sandbox.twilio import Call, say
from tests.e2e.conftest import CALLER, NUMBER
from tests.e2e.deployments import Deployment, deployment, more
from tests.support.simulation import voice
from tests.support.waits import patience

__all__ = ["deployment", "more"]
pytestmark = [pytest.mark.calls, pytest.mark.timeout(300)]
FIRST, SECOND = b"".join(voice(2_500, seed=21)), b"".join(voice(1_000, seed=22))
BEEPED = {"do": "wait_for_tone", "hz": BEEP_HZ, "timeout_ms": 40_000}
HASH = {"do": "press", "digits": "#"}


async def mailbox(deployment: Deployment) -> None:
    """The number's flow takes messages only, and the carrier says its words: nothing is rendered."""
    (number,) = (await deployment.http.get("/api/numbers")).json()["numbers"]
    shut = {"time_zone": "UTC", "weekly": {"mon": []}}
    fields: dict[str, Any] = {"voicemail_enabled": True, "business_hours_json": shut}
    assert (await deployment.http.patch(f"/api/flows/{number['flow_id']}", json=fields)).status_code == 200


async def ring(deployment: Deployment, *steps: dict[str, Any]) -> Call:
    return await deployment.carrier.ring(NUMBER, CALLER, list(steps), stay=True)


async def spoken(call: Call, times: int = 1) -> None:
    """Wait until the caller has said something to its end, for so many times."""
    async with patience():
        while sum(each["event"] == "caller.said" and each["phase"] == "end" for each in call.journal.events) < times:
            await asyncio.sleep(0.02)


async def message(deployment: Deployment) -> bytes:
    """The samples of the only voicemail."""
    async with patience():
        while not (found := (await deployment.http.get("/api/voicemails")).json().get("voicemails")):
            await asyncio.sleep(0.1)
    (only,) = found
    content = (await deployment.http.get(only["audio_url"])).content
    with wave.open(io.BytesIO(content)) as wav:
        samples: bytes = wav.readframes(wav.getnframes())
    return samples


async def test_a_media_process_that_dies_loses_half_a_second_of_the_message(deployment: Deployment) -> None:
    await mailbox(deployment)
    call = await ring(deployment, BEEPED, say(FIRST), {"do": "wait", "ms": 300}, BEEPED, say(SECOND), HASH)
    await spoken(call)
    deployment.kill("media")
    (record,) = await deployment.all_over(90)
    assert record["end_reason"] == "message_taken"
    sound = await message(deployment)
    kept = to_linear(FIRST)[: 16 * (2_500 - 600)]
    assert 0 <= sound.find(kept) < sound.find(to_linear(SECOND)), "what was written, and then the rest"
    assert [verb.name for verb in call.verbs][-1] == "Hangup"


async def test_a_message_waits_for_a_control_that_dies(deployment: Deployment) -> None:
    await mailbox(deployment)
    call = await ring(deployment, BEEPED, say(FIRST), HASH)
    await spoken(call)
    deployment.kill("control", "worker")
    (record,) = await deployment.all_over(90)
    assert (record["status"], record["end_reason"]) == ("completed", "message_taken")
    assert to_linear(FIRST)[:-320] in await message(deployment)
