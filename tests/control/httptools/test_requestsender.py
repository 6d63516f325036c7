"""Requests of HTTP tools, and where their templates are rendered."""

import asyncio
import threading
from typing import Any, cast

import pytest

from control.clients.http import GuardedClient, HttpAnswer
from control.httptools import requestsender, toolrequest
from control.httptools.requestsender import Requests
from control.httptools.toolrequest import ToolOutcome
from hum import ids
from hum.secrets import Keyring
from hum.settings import ControlSettings
from storage.db import Db

ORG = ids.new()
DEFINITION = {
    "url": "https://api.example.com/x",
    "output_template": "{{ response.body }}",
    "fallback_template": "Later.",
}


class Web:
    """A server that answers at once."""

    async def request(self, *_: Any, **__: Any) -> HttpAnswer:
        return HttpAnswer(200, {}, b"Hi", truncated=False, elapsed_ms=1.0)


async def test_an_outcome_is_rendered_in_own_threads_and_counts_as_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    render, rendered = toolrequest.outcome, threading.Event()
    threads = set[str]()

    def slow(*args: Any) -> ToolOutcome:
        threads.add(threading.current_thread().name.split("_")[0])
        if args[3] is None:
            rendered.wait(10)
        else:
            rendered.set()
        return render(*args)

    monkeypatch.setattr(toolrequest, "outcome", slow)
    monkeypatch.setattr(requestsender, "HTTP_TOOL_REQUESTS", 1)
    db = cast("Db", None)
    requests = Requests(db, cast("GuardedClient", Web()), Keyring([(1, bytes(32))]), ControlSettings())
    first, second = await asyncio.gather(
        *(requests.send(ORG, DEFINITION, {"args": {}}, "key", 5_000) for _ in range(2))
    )
    assert (first.outcome.text, second.outcome.text, second.outcome.error) == (
        "Hi",
        "Later.",
        "Too many requests of this organization's tools are under way.",
    )
    assert threads == {"templates"}
    again = await requests.send(ORG, {"url": DEFINITION["url"]}, {"args": {}}, "key", 5_000)
    assert again.outcome.ok, "what has ended is not counted"
