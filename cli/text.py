"""`hum text`: a text from a simulated handset to a number of the stand-in carrier on this machine, and what is answered."""

import asyncio
import sys
from typing import Any
from urllib.parse import quote

import aiohttp

from cli import recordpage
from hum import settings
from hum.process import home
from hum.settings import UpSettings

#: The wait for an answer, and between looks at the carrier.
ANSWER_SECONDS, POLL_SECONDS = 60.0, 0.2


async def run(to: str, from_: str, body: str, *, answer_seconds: float = ANSWER_SECONDS) -> int:
    """Send the text and print what is answered; end with the page of the conversation.

    Return 0 if an answer came, 1 if none did in time, 2 if there is nothing to text to.
    """
    facts = home.read_run(settings.load(UpSettings).home)
    carrier_url = facts.get("carrier_url", "")
    if not carrier_url:
        sys.stderr.write(
            "hum: no stand-in carrier is running on this machine; start `hum up` without TWILIO_ACCOUNT_SID\n"
        )
        return 2
    async with aiohttp.ClientSession(carrier_url) as http:
        seen = {text["sid"] for text in await _sent(http, from_, to)}
        async with http.post("/sandbox/texts", json={"from": from_, "to": to, "body": body}) as answer:
            if not answer.ok:
                sys.stderr.write(f"hum: {(await answer.text()).strip()}\n")
                return 2
        _print(f"{from_}: {body}")
        try:
            async with asyncio.timeout(answer_seconds):
                while not (came := [text for text in await _sent(http, from_, to) if text["sid"] not in seen]):  # noqa: ASYNC110 - another program knows
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            came = []
            _print(
                f"No answer within {answer_seconds:g} s: has {to} its texts on (sms_enabled) and an agent for them,"
                " is it within its hours, and has nobody taken the conversation over?"
            )
    for text in came:
        _print(f"{to}: {text['body']}")
    query = f"?q={quote(from_)}"
    page = await recordpage.page_or(facts["public_url"], f"/inbox{query}", f"/api/sms/conversations{query}")
    _print(facts["public_url"] + page)
    return 0 if came else 1


async def _sent(http: aiohttp.ClientSession, handset: str, number: str) -> list[dict[str, Any]]:
    """Return what the number has sent to the handset, oldest first."""
    async with http.get("/sandbox/texts", params={"to": handset, "from": number}) as answer:
        texts: list[dict[str, Any]] = (await answer.json())["texts"]
    return [text for text in reversed(texts) if text["direction"] != "inbound"]


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
