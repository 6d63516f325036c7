"""The examples of docs/knowledge.md, as a reader runs them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.contract.conftest import Edge
from tests.contract.test_knowledge import convert, limits
from tests.contract.test_triggers_page import run
from tests.support.httpserver import answering

__all__ = ["limits"]
PAGE = (Path(__file__).parents[2] / "docs/knowledge.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


async def hours(_: web.Request) -> web.Response:
    return web.Response(text="<h1>Hours</h1><p>We open at nine.</p>", content_type="text/html")


@pytest.mark.interop
async def test_the_examples_do_what_the_page_says(edge: Edge) -> None:
    http = await edge.client()
    env = {"HUM": edge.url, "KEY": http.headers["authorization"].removeprefix("Bearer ")}
    *adding, searching, naming = BLOCKS
    assert len(adding) == 3
    documents: list[dict[str, Any]] = []
    async with answering(hours) as url:
        for block in adding:
            made = json.loads(await run(*block, env | {"PAGE": url}))
            assert made["status"] == "pending"
            documents.append(await convert(edge, http, made["id"]))
    assert [(each["format"], each["status"], each["passages"]) for each in documents] == [
        ("markdown", "ready", 2),
        ("csv", "ready", 1),
        ("html", "ready", 1),
    ]
    found = json.loads(await run(*searching, env))["passages"]
    assert (found[0]["source"], found[0]["heading"], found[0]["rank_by_words"]) == ("House rules", "Returns", 1)
    flow = json.loads(await run(*naming, env | {"DOCUMENT": documents[0]["id"]}))
    assert flow["knowledge_ids"] == [documents[0]["id"]]
    assert (await http.delete(f"/api/knowledge/{documents[0]['id']}")).status_code == 409
