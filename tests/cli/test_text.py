"""`hum text`: the answer is printed, and its absence."""

import asyncio
from typing import Any

import aiohttp
import pytest

from cli import text
from hum.process import home
from sandbox.twilio.carrier import Carrier
from tests.support.waits import until

NUMBER, HANDSET, ACCOUNT = "+13175550100", "+13175550199", "AC" + "0" * 32


async def answer_once(carrier: Carrier) -> None:
    """Answer the first text that comes to the number, as a platform does."""
    await until(lambda: len(carrier.texting.book.between(NUMBER, HANDSET)) == 1)
    form = {"To": HANDSET, "From": NUMBER, "Body": "We are open."}
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    async with (
        aiohttp.ClientSession(auth=aiohttp.BasicAuth(ACCOUNT, "secret")) as http,
        http.post(url, data=form) as answered,
    ):
        assert answered.status == 201


async def test_an_answer_is_printed_or_that_none_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts: dict[str, Any] = {}
    monkeypatch.setattr(home, "read_run", lambda _: facts)
    assert await text.run(NUMBER, HANDSET, "Hello?") == 2
    assert "no stand-in carrier is running" in capsys.readouterr().err
    async with Carrier.serve(account_sid=ACCOUNT, auth_token="secret", numbers=[NUMBER]) as carrier:
        facts |= {"carrier_url": carrier.url, "public_url": carrier.url}
        _, status = await asyncio.gather(answer_once(carrier), text.run(NUMBER, HANDSET, "Hello?"))
        lines = capsys.readouterr().out.splitlines()
        assert (status, lines[:2]) == (0, [f"{HANDSET}: Hello?", f"{NUMBER}: We are open."])
        assert lines[2] == f"{carrier.url}/api/sms/conversations?q=%2B13175550199", "no console is there"
        # The deadline is meant to run out.
        assert await text.run(NUMBER, HANDSET, "And?", answer_seconds=0.2) == 1
        assert "No answer within 0.2 s" in capsys.readouterr().out
        assert await text.run("+13175550999", HANDSET, "Hello?") == 2
        assert "does not have +13175550999" in capsys.readouterr().err
