"""A platform as `make up` starts it, and a signed-in user with an organization of their own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.console.clinic import Place
from hum import ids
from hum.process import home
from tests.support import programs

START_SECONDS, STOP_SECONDS = 180.0, 60.0
READY = b"HUM is up"
#: The benchmark exceeds the request rate of a user.
SETTINGS = {
    "rate_burst": "5000",
    "rate_per_second": "1000",
    "organization_rate_burst": "5000",
    "organization_rate_per_second": "1000",
    "HUM_DRAIN_SECONDS": "1",
    "HUM_LOG_LEVEL": "warning",
    **{f"HUM_{plane}_LISTEN": "127.0.0.1:0" for plane in ("GATEWAY", "MEDIA", "CONTROL")},
}
FLOW = {
    "name": "Front desk",
    "greeting": "Thank you for calling the clinic. How can I help you today?",
    "system_prompt": "You are the receptionist of a dental clinic. Offer times, and book what the caller chooses.",
}


@asynccontextmanager
async def platform(at: Path) -> AsyncIterator[dict[str, Any]]:
    """Run a platform with its home in `at`; yield the content of its `run.json`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "up",
        env=programs.variables({**os.environ, **SETTINGS, "HUM_HOME": str(at)}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed = b""
    reading: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(START_SECONDS):
            while READY not in printed:
                if not (line := await process.stdout.readline()):
                    raise SystemExit(f"the platform did not start:\n{printed.decode()}")
                printed += line
        # Keep the pipe from filling up.
        reading = asyncio.create_task(process.stdout.read())
        yield home.read_run(at)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
        if reading is not None:
            await asyncio.gather(reading, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Owner:
    """A signed-in user: a browser's cookies, and the place that the user administers."""

    cookies: dict[str, str]
    place: Place


async def owner(url: str) -> Owner:
    """Sign in at the provider's stand-in, create an organization, and let an agent answer a number of it."""
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}, trust_env=False, timeout=60) as http:
        await _sign_in(http, f"owner-{ids.new().hex}@example.com")
        await _create(http, "POST", "/api/organizations", {"name": "Lakeside Dental"})
        number = await _create(http, "POST", "/api/numbers/buy", {"e164": await _free_number(http)})
        flow = await _create(http, "POST", "/api/flows", FLOW)
        await _create(http, "PATCH", f"/api/numbers/{number['id']}", {"flow_id": flow["id"], "sms_enabled": True})
        me = (await http.get("/api/me")).json()
        place = Place(
            ids.require(ids.Kind.ORGANIZATION, me["organization"]["id"]),
            ids.require(ids.Kind.NUMBER, number["id"]),
            number["e164"],
            ids.require(ids.Kind.FLOW, flow["id"]),
        )
        return Owner(dict(http.cookies), place)


async def _sign_in(http: httpx.AsyncClient, email: str) -> None:
    location = httpx.URL((await http.get("/auth/login", params={"return_to": "/"})).headers["location"])
    async with httpx.AsyncClient(trust_env=False) as provider:
        answer = await provider.post(location.copy_with(query=None), data={**dict(location.params), "email": email})
    await http.get(answer.headers["location"])


async def _free_number(http: httpx.AsyncClient) -> str:
    answer = await http.get("/api/numbers/available", params={"country": "US", "limit": 20})
    return str(answer.json()["numbers"][0]["e164"])


async def _create(http: httpx.AsyncClient, verb: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.request(verb, path, json=body)
    if not answer.is_success:
        raise SystemExit(f"{verb} {path}: {answer.status_code} {answer.text}")
    created: dict[str, Any] = answer.json()
    return created
