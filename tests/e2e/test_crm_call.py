"""A caller whom the organization's CRM knows: the agent says the name, and nobody waits for the CRM.

The CRM is the receiver of docs/crm-integration.md, as it stands there.
"""

import asyncio
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from hum.process.sockets import free_port
from sandbox.openai import Script
from sandbox.speech import Speech
from sandbox.twilio import say
from tests.e2e.conftest import CALLER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.support.processes import kill_group
from tests.support.waits import patience, until

PAGE = Path(__file__).parents[2] / "docs" / "crm-integration.md"


def code(language: str) -> str:
    """The receiver of the page in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture
def script() -> Script:
    """What the caller says is understood so; a receptionist answers, who knows what the prompt knows."""
    return Script.of({"heard": ["Do you know who I am?"] * 2})


class Receiver:
    """The page's receiver in Python, which answers a look-up once it may."""

    def __init__(self) -> None:
        os.environ["HUM_CRM_SECRETS"] = "none"
        self.module: dict[str, Any] = {"__name__": "receiver"}
        exec(compile(code("python"), str(PAGE), "exec"), self.module)
        del os.environ["HUM_CRM_SECRETS"]
        self.asked, self.may_answer = threading.Event(), threading.Event()
        plain = self.module["answer"]

        def answer(path: str, request: Any) -> Any:
            if path == "/contacts/lookup":
                self.asked.set()
                self.may_answer.wait(60)
            return plain(path, request)

        self.module["answer"] = answer

    @contextmanager
    def serve(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self.module["Receiver"])
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.may_answer.set()
            server.shutdown()
            thread.join()
            server.server_close()


async def connected(house: House, receiver: Receiver, url: str, **fields: Any) -> str:
    made = await house.http.post("/api/crm-connectors", json={"name": "Ours", "base_url": url, **fields})
    made.raise_for_status()
    receiver.module["SECRETS"][:] = [made.json()["secret"]]
    return str(made.json()["id"])


@pytest.mark.calls
async def test_the_agent_says_the_name_that_the_crm_told_and_nobody_waited_for_it(house: House, speech: Speech) -> None:
    receiver = Receiver()
    with receiver.serve() as url:
        connector = await connected(house, receiver, url, timeout_ms=30_000)
        await house.answer_with(greeting="Welcome to the clinic.", system_prompt="You answer the phone of the Clinic.")
        question = await speech.say("Do you know who I am?", "caller")
        # Asked twice, for a machine on which the answer of a CRM takes seconds.
        call = await house.ring(LISTEN, say(question), LISTEN, say(question), LISTEN, {"do": "wait", "ms": 1500})
        await until(lambda: call.streams and call.streams[0].playout.segments)
        assert receiver.asked.is_set() and not receiver.may_answer.is_set()
        first_ms = call.streams[0].playout.segments[0].start_ms
        assert first_ms < 10_000, "the greeting began while the CRM was silent"
        receiver.may_answer.set()
        await call.ended()
        record = await house.record(summarized=True)
        spoken = [turn["text"] for turn in record["transcript"] if turn["role"] == "agent"]
        assert any("You are Ada Lovelace." in text for text in spoken), record["transcript"]

        (session,) = house.model.sessions
        received = [each for each in session.journal.events if each["direction"] == "received"]
        _, update = [each["body"]["session"] for each in received if each["event"] == "session.update"]
        assert list(update) == ["type", "instructions"] and "- name: Ada Lovelace" in update["instructions"]

        (contact,) = (await house.http.get("/api/contacts")).json()["contacts"]
        assert (contact["name"], contact["source"]["name"], contact["attributes_json"]) == (
            "Ada Lovelace",
            "crm",
            {"plan": "gold"},
        )
        calls = receiver.module["CALLS"]
        await until(lambda: calls)
        (told,) = calls.values()
        assert (told["call_id"], told["contact_id"], told["from"]) == (record["id"], "4711", CALLER)
        assert told["summary"] == record["summary"]["text"] and told["outcome"] is None
        asked = set[tuple[str, str]]()
        async with patience():  # what was answered is written down after the answer
            while len(asked) < 2:
                logs = await house.http.get(f"/api/crm-connectors/{connector}/logs", params={"call_id": record["id"]})
                asked = {(log["event"], log["outcome"]) for log in logs.json()["logs"]}
                await asyncio.sleep(0.05)
        assert asked == {("contact.lookup", "ok"), ("call.sync", "ok")}


@pytest.mark.calls
async def test_the_receiver_in_node_takes_what_is_sent(house: House) -> None:
    port = free_port("127.0.0.1")
    made = await house.http.post(
        "/api/crm-connectors", json={"name": "Node", "base_url": f"http://127.0.0.1:{port}", "create_contacts": True}
    )
    connector, secret = made.json()["id"], made.json()["secret"]
    environment = {"PATH": os.environ["PATH"], "HUM_CRM_SECRETS": f"old,{secret}", "PORT": str(port)}
    node = subprocess.Popen(  # noqa: ASYNC220 - it runs beside the test
        ["node", "-e", code("javascript")], env=environment, start_new_session=True
    )
    try:
        await listening(port)
        ping = (await house.http.post(f"/api/crm-connectors/{connector}/ping")).json()
        assert (ping["outcome"], ping["status"], ping["response_body"]) == ("ok", 200, "{}")
        await house.answer_with(greeting="Welcome.")
        call = await house.ring(LISTEN, {"do": "hang_up"})
        await call.ended()
        record = await house.record()
        logs: list[dict[str, Any]] = []
        async with patience():
            while not any(log["event"] == "call.sync" for log in logs):
                found = await house.http.get(f"/api/crm-connectors/{connector}/logs")
                logs = found.json()["logs"]
                await asyncio.sleep(0.05)
        assert {log["outcome"] for log in logs} == {"ok"}
        (told,) = [json.loads(log["request_body"]) for log in logs if log["event"] == "call.sync"]
        assert (told["call_id"], told["contact_id"]) == (record["id"], "4711")
        rotated = (await house.http.post(f"/api/crm-connectors/{connector}/rotate-secret")).json()
        assert rotated["secret"] != secret and rotated["old_secret_expires_at"]
        ping = (await house.http.post(f"/api/crm-connectors/{connector}/ping")).json()
        assert (ping["outcome"], ping["old_secret"]) == ("ok", True), "the receiver does not know the new one yet"
    finally:
        kill_group(node.pid)
        node.wait()


async def listening(port: int) -> None:
    async with patience(), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/")
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return
