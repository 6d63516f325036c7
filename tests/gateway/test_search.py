"""The search, which anybody may use, beside what else the gateway's loop does."""

import asyncio
import time

import httpx
import pytest
from starlette.applications import Starlette

from gateway import contract, openapi
from gateway.reference.serving import REST_FACTOR, Reference
from gateway.reference.site import Site

SEARCHES, TOOK_S = 8, 0.005


async def test_strangers_searches_leave_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: Site, query: str) -> str:
        time.sleep(TOOK_S)
        return f"found {query}"

    monkeypatch.setattr(Site, "search", slow)
    app = Starlette(routes=Reference(openapi.document(contract.bindings(), "https://hum.example")).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hum") as http:
        assert (await http.get("/docs/search", params={"q": "first"})).text == "found first"
        began = time.monotonic()
        answers = await asyncio.gather(*(http.get("/docs/search", params={"q": str(n)}) for n in range(SEARCHES)))
    assert [each.text for each in answers] == [f"found {n}" for n in range(SEARCHES)]
    assert time.monotonic() - began >= SEARCHES * REST_FACTOR * TOOK_S * 0.9
