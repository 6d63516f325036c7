"""The program: starts from its environment, serves, drains on SIGTERM."""

import asyncio
import signal
import sys

import httpx
import websockets

from sandbox.twilio import sign
from tests.media.conftest import TOKEN, Line, program_environment, until


async def test_it_serves_until_it_is_told_to_stop_and_drains(settings, control, model, tmp_path) -> None:
    given = settings()
    environment = program_environment(given, model, tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "media.app", env=environment, stderr=asyncio.subprocess.PIPE
    )
    control.offer("t1")
    await until(lambda: control.hellos, 20)
    url = f"{given.media_url}/media/twilio"
    async with httpx.AsyncClient(base_url=given.media_url.replace("ws:", "http:")) as http:
        assert (await http.get("/healthz")).text == "ok\n"
    async with websockets.connect(url, additional_headers={"X-Twilio-Signature": sign(TOKEN, url)}) as connection:
        line = Line(connection)
        await line.start(token="t1")
        await until(lambda: model.dials)
        process.send_signal(signal.SIGTERM)
        assert await line.closed() == 1000
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    assert control.ended("call_t1").reason == "drained"
    assert b"media serves" in said
    assert b"sk-secret" not in said
    assert b"Traceback" not in said
