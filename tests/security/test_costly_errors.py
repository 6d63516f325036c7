"""What is wrong with a request is told within bounds: it costs no more than the request itself."""

import json
import time
import tracemalloc
from itertools import product
from typing import Any

import httpx
import pytest

from tests.security.conftest import Edge
from tests.support.cases import in_turn
from tests.support.examples import sample

KB = 1_000
NAMES: dict[str, dict[str, str]] = {
    "a long name": {"a" * 40 * KB: "1"},
    "brackets": {"a" + '["' * 6 * KB: "1"},
    "dots": {".".join("a" * 20 * KB): "1"},
    "many": {f"p{n}": "1" for n in range(4 * KB)},
}
BODIES: dict[str, Any] = {
    "bad items": {"name": "F", "knowledge_ids": [7] * 12 * KB},
    "unknown members": {f"m{n}": n for n in range(4 * KB)},
    "a long member": {"m" * 60 * KB: 1},
    "nested": {"name": [[[[{"a": [1]}]]]]},
    "a list that is far too long": {"phone_e164": "+13175550199", "tags": [" "] * 200 * KB},
    "strings for numbers": {"name": "F", "max_call_seconds": "x" * 60 * KB},
}


@pytest.fixture
def public_socket() -> dict[str, Any]:
    return {"body_bytes": 1 << 20}


async def cost(request: Any) -> tuple[httpx.Response, float, int]:
    """The answer, the processor's seconds and the bytes of memory at its peak."""
    tracemalloc.start()
    began = time.process_time()
    answer = await request()
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return answer, seconds, peak


@pytest.mark.sampled
@in_turn(("name", "credential"), list(product(sample(list(NAMES), 2), (True, False))))
async def test_names_of_parameters(edge: Edge, name: str, credential: bool) -> None:
    async with await edge.client() as http:
        if not credential:
            del http.headers["Authorization"]
        await http.get("/api/flows")
        answer, seconds, peak = await cost(lambda: http.get("/api/flows", params=NAMES[name]))
        assert answer.status_code in ({400, 414, 431} if credential else {400, 401, 414, 431})
        assert len(answer.content) < 8 * KB and seconds < 2 and peak < 20_000 * KB


@pytest.mark.sampled
@in_turn(("name", "credential"), list(product(sample(list(BODIES), 2), (True, False))))
async def test_bodies(edge: Edge, name: str, credential: bool) -> None:
    content = json.dumps(BODIES[name])
    async with await edge.client() as http:
        http.headers["Content-Type"] = "application/json"
        if not credential:
            del http.headers["Authorization"]
        await http.post("/api/flows", content="{}")
        path = "/api/contacts" if "tags" in BODIES[name] else "/api/flows"
        answer, seconds, peak = await cost(lambda: http.post(path, content=content))
        assert answer.status_code == (400 if credential else 401)
        assert len(answer.content) < 8 * KB and seconds < 2 and peak < 20_000 * KB
