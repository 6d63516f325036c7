"""Compression over REST: lists are, secrets and what is small are not."""

import gzip
import json

from tests.contract.conftest import Edge

TAKES = {"Accept-Encoding": "gzip"}
NOT = {"Accept-Encoding": "identity"}


async def test_long_json_is_compressed_for_whoever_takes_it(edge: Edge) -> None:
    http = await edge.client()
    small = await http.get("/api/flows", headers=TAKES)
    assert "content-encoding" not in small.headers and "vary" not in small.headers
    for n in range(5):
        await http.post("/api/flows", json={"name": f"F{n}", "system_prompt": "Be kind. " * 40})
    plain = await http.get("/api/flows", headers=NOT)
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"
    async with http.stream("GET", "/api/flows", headers=TAKES) as answer:
        sent = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(answer.headers["content-length"]) == len(sent) < len(plain.content) / 3
    assert json.loads(gzip.decompress(sent)) == plain.json()


async def test_what_holds_a_secret_is_not(edge: Edge) -> None:
    http = await edge.client()
    made = await http.post("/api/webhooks", json={"url": "https://hooks.example/" + "x" * 1000}, headers=TAKES)
    assert made.status_code == 201 and made.json()["secret"]
    assert len(made.content) > 1024 and "content-encoding" not in made.headers


async def test_the_document_is_compressed(edge: Edge) -> None:
    http = await edge.client()
    plain = await http.get("/openapi.json", headers=NOT)
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"
    packed = await http.get("/openapi.json", headers=TAKES)
    assert packed.headers["content-encoding"] == "gzip" and packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < len(plain.content) / 5
