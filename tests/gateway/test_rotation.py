"""Keys are replaced one step after the other (docs/keys.md), and at no step is a plane or the carrier refused."""

import asyncio

import pytest

from sandbox.twilio import sign
from tests.gateway.test_control_away import (
    ACCOUNT,
    CALLER,
    NUMBER,
    PUBLIC,
    TOKEN,
    Carrier,
    Deployment,
    deployment,
    ready,
)
from tests.support.waits import patience

__all__ = ["deployment"]
OLD, NEW = "0123456789abcdef" * 2, "fedcba9876543210" * 2


async def becomes_ready(gateway: Carrier) -> None:
    async with patience():
        while await ready(gateway) != 200:
            await asyncio.sleep(0.05)


async def test_the_node_key(deployment: Deployment) -> None:
    async with (
        deployment.gateway(ready_cache_seconds=0, node_key=OLD) as old,
        deployment.gateway(ready_cache_seconds=0, node_key=f"{NEW},{OLD}") as between,
        deployment.gateway(ready_cache_seconds=0, node_key=NEW) as new,
    ):
        async with deployment.control(node_key=f"{NEW},{OLD}"):
            for gateway in (old, between, new):
                await becomes_ready(gateway)
        async with deployment.control(node_key=NEW):
            for gateway in (between, new):
                await becomes_ready(gateway)
            assert await ready(old) == 503


@pytest.mark.parametrize("token", [TOKEN, "the new token"])
async def test_the_carriers_token(deployment: Deployment, token: str) -> None:
    form = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": CALLER, "To": NUMBER}
    async with deployment.control(), deployment.gateway(twilio_auth_token=f"the new token,{TOKEN}") as carrier:
        await becomes_ready(carrier)
        headers = {"X-Twilio-Signature": sign(token, f"{PUBLIC}/twilio/voice", list(form.items()))}
        assert (await carrier.http.post("/twilio/voice", data=form, headers=headers)).status_code == 200
    async with deployment.gateway(twilio_auth_token="the new token") as carrier:
        headers = {"X-Twilio-Signature": sign(TOKEN, f"{PUBLIC}/twilio/voice", list(form.items()))}
        assert (await carrier.http.post("/twilio/voice", data=form, headers=headers)).status_code == 403
