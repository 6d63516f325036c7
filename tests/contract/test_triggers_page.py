"""The examples of docs/triggers.md, as a reader runs them."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import Edge
from tests.contract.test_events import seen

PAGE = (Path(__file__).parents[2] / "docs/triggers.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
RUN = {"sh": ("bash", "-ec"), "python": (sys.executable, "-c")}


async def run(language: str, code: str, env: dict[str, str]) -> str:
    program = await asyncio.create_subprocess_exec(
        *RUN[language], code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    out, error = await program.communicate()
    assert program.returncode == 0, error.decode()
    return out.decode()


@pytest.mark.interop
async def test_the_examples_do_what_the_page_says(edge: Edge) -> None:
    http = await edge.client()
    key = http.headers["authorization"].removeprefix("Bearer ")
    make, *posts = BLOCKS
    trigger = json.loads(await run(*make, {"HUM": edge.url, "KEY": key}))
    hook, path = f"{edge.url}/hooks/{trigger['token']}", f"/api/triggers/{trigger['id']}"
    plain = [block for block in posts if "HOOK_SECRET" not in block[1]]
    signed = [block for block in posts if "HOOK_SECRET" in block[1]]
    assert (len(plain), len(signed)) == (2, 2)
    answers: list[dict[str, Any]] = [json.loads(await run(*block, {"HOOK_URL": hook})) for block in [*plain, plain[0]]]
    assert [answer["repeated"] for answer in answers] == [False, False, True]
    secret = (await http.post(f"{path}/rotate-secret", json={})).json()["secret"]
    for block in signed:
        assert '"repeated":false' in (await run(*block, {"HOOK_URL": hook, "HOOK_SECRET": secret})).replace(" ", "")
    payloads = [event["data"]["payload"] for event in await seen(http, type="external.order_paid")]
    assert payloads == [
        {"order": 7, "total": 12.5},
        {"name": "Ada", "wish": "Call me"},
        {"order": 8},
        {"order": 9},
    ]
