"""The stand-in's control API, and the stand-in as a process of its own."""

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.sandbox.openai.conftest import KEY, OpenHouse, silence, speech


async def test_the_truth_is_told_as_json(house: OpenHouse) -> None:
    async with house({"turns": [{"say": "Hello."}]}) as h, httpx.AsyncClient(base_url=h.model.url[:-3]) as http:
        async with h.call() as client:
            await client.configure()
            await client.say(speech(400), silence(100))
            await client.send("response.create")
            await client.until("response.done")
            (brief,) = (await http.get("/sandbox/sessions")).json()["sessions"]
            full = (await http.get(f"/sandbox/sessions/{brief['id']}", params={"audio": "1"})).json()
            assert (await http.post(f"/sandbox/sessions/{brief['id']}/drop")).status_code == 204
            assert await client.closed() == 1011
        assert brief["heard"] == 500 * 8
        assert base64.b64decode(full["heard"]) == speech(400) + silence(100)
        (item,) = full["items"]
        assert base64.b64decode(item["audio"]) == client.audio()
        assert item["generated_text"] == "Hello."
        events = [(each["direction"], each["event"]) for each in full["events"]]
        assert ("received", "response.create") in events
        assert ("sent", "response.done") in events
        assert (await http.post(f"/sandbox/sessions/{brief['id']}/drop")).status_code == 404
        assert (await http.get("/sandbox/sessions/nobody")).status_code == 404


async def test_script_and_faults_change_while_it_runs(house: OpenHouse) -> None:
    async with house() as h, httpx.AsyncClient(base_url=h.model.url[:-3]) as http:
        assert "stand-in" in (await http.get("/")).json()["about"]
        assert (await http.put("/sandbox/script", json={"turns": [{"say": "New."}]})).status_code == 204
        assert (await http.put("/sandbox/script", json={"turns": [{}]})).status_code == 400
        async with h.call() as client:
            await client.send("response.create")
            await client.until("response.done")
        assert h.truth.spoken() == "New."
        assert (await http.put("/sandbox/faults", json={"close_after_events": 1})).status_code == 204
        assert (await http.put("/sandbox/faults", json={"explode": True})).status_code == 400
        async with h.call() as client:
            assert await client.closed() == 1011


@pytest.mark.interop
async def test_it_runs_alone_and_ends_in_good_order(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"texts": [{"say": "Alone."}]}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.openai", "--no-speech", "--script", str(script)),
        env={**os.environ, "OPENAI_API_KEY": KEY},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
        answer = (await http.post(f"{url}/responses", json={"model": "m", "input": "Hi"})).json()
    assert answer["output"][0]["content"][0]["text"] == "Alone."
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
