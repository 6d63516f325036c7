"""Large bodies, and bodies of which little is right, of clients whose credential control does not know."""

import asyncio
import functools
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from control.identity.servicer import IdentityServicer
from gateway import admission, forms
from hum import secrets
from tests.contract.conftest import Edge
from tests.support.wires import head, wire

BURST = 6
IMPORT = "/api/contacts/import"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
LARGE = {"Content-Length": str(1 << 20)}


@pytest.fixture
def limits() -> dict[str, float]:
    return {"unknown_rate_burst": BURST, "unknown_rate_per_second": 0.01}


def guess() -> dict[str, str]:
    return {"Authorization": f"Bearer {secrets.new_api_key()}"}


class Questions:
    """The calls of `GetMe`, in which the gateway asks control about a client."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, answer = 0, IdentityServicer.GetMe

        @functools.wraps(answer)
        async def counted(*args: Any) -> Any:
            self.count += 1
            return await answer(*args)

        monkeypatch.setattr(IdentityServicer, "GetMe", counted)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> Questions:
    return Questions(monkeypatch)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (IMPORT, FORM | LARGE),
        (IMPORT, {"Content-Type": "text/csv"} | LARGE),
        ("/api/flows", JSON | LARGE),
        ("/api/flows", JSON | {"Transfer-Encoding": "chunked"}),
        ("/mcp", JSON | LARGE),
        ("/mcp", JSON | {"Content-Length": "20"}),
    ],
    ids=["form", "file", "JSON", "chunks", "large message", "message"],
)
async def test_a_guessed_key_is_refused_before_the_body_and_counted(
    edge: Edge, path: str, headers: dict[str, str]
) -> None:
    statuses = []
    for _ in range(BURST + 3):
        async with wire(edge.url) as stranger:  # sends no byte of the body
            await stranger.send(head("POST", path, headers | guess()))
            statuses.append((await stranger.answer())[0])
    assert statuses == [401] * BURST + [429] * 3


@pytest.mark.parametrize("content", [b"{", b'{"jsonrpc": "2.0", "method": "notifications/x"}'])
async def test_a_message_that_executes_nothing_is_counted(edge: Edge, content: bytes) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        asking = (http.post("/mcp", content=content, headers=JSON | guess()) for _ in range(BURST + 3))
        answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {401: BURST, 429: 3}


async def test_a_guessed_key_does_not_learn_what_else_is_wrong(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        asking = (http.post("/api/flows", json={"surprise": 1}, headers=guess()) for _ in range(BURST + 3))
        answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {401: BURST, 429: 3}


async def test_a_session_that_was_made_up_is_refused_before_the_body(edge: Edge) -> None:
    session = {"Cookie": f"__Host-hum_session={secrets.new_token()}", "Origin": "https://hum.example"}
    async with wire(edge.url) as stranger:
        await stranger.send(head("POST", "/api/flows", JSON | LARGE | session))
        status, body = await stranger.answer()
    assert status == 401 and "session_required" in body


async def test_control_is_asked_once_about_a_key_that_it_accepts(questions: Questions, edge: Edge) -> None:
    flow = {"name": "F", "system_prompt": "x" * admission.MAX_UNADMITTED_BYTES}
    async with await edge.client() as http:
        assert (await http.post("/api/flows", json={"name": "F"})).status_code == 201
        assert questions.count == 0, "a small body that is right is control's own to judge"
        for _ in range(3):
            once = {"Idempotency-Key": secrets.new_token()}
            assert (await http.post("/api/flows", json=flow, headers=once)).status_code == 201
        assert (await http.post("/api/flows", json={"surprise": 1})).status_code == 400
        message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await http.post("/mcp", json=message, headers=JSON)).status_code == 202
    assert questions.count == 1


async def test_an_accepted_key_is_asked_about_again_after_a_while(
    questions: Questions, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "ACCEPTED_MS", 0.0)
    async with await edge.client() as http:
        for _ in range(3):
            assert (await http.post("/api/flows", json={"surprise": 1})).status_code == 400
    assert questions.count == 3


async def test_few_accepted_keys_are_remembered(
    questions: Questions, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_ACCEPTED", 1)
    one, other = await edge.client("One"), await edge.client("Other")
    for http in (one, other, other, one):
        assert (await http.post("/api/flows", json={"surprise": 1})).status_code == 400
    assert questions.count == 3


async def test_a_key_that_was_accepted_gives_no_right_once_it_is_revoked(edge: Edge) -> None:
    http = await edge.client()
    made = (await http.post("/api/api-keys", json={"name": "k", "role": "admin"})).json()
    flow = {"name": "F", "system_prompt": "x" * admission.MAX_UNADMITTED_BYTES}
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    assert (await http.post("/api/flows", json=flow, headers=bearer)).status_code == 201
    assert (await http.delete(f"/api/api-keys/{made['id']}")).status_code == 204
    assert (await http.post("/api/flows", json=flow, headers=bearer)).status_code == 401


async def test_a_large_form_is_parsed_beside_the_event_loop(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, parts = list[threading.Thread](), forms.parts

    def observed(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return parts(*args)

    monkeypatch.setattr(forms, "parts", observed)
    async with await edge.client() as http:
        for file in (b"phone\n1", b"phone\n" + b"1\n" * (64 << 10)):
            answer = await http.post(IMPORT, files={"csv": ("a.csv", file)})
            assert answer.status_code == 202, answer.text
    assert [each is threading.current_thread() for each in threads] == [True, False]
