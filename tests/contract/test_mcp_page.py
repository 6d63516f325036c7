"""The examples of docs/agent-setup.md, as a reader runs them, and the protocol's inspector."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.mcpserver.server import EXECUTE, SEARCH
from tests.contract.conftest import Edge
from tests.contract.test_generated_clients import TOOLS
from tests.contract.test_generated_clients import run as run_tool
from tests.contract.test_mcp_server import ADA, key_of

PAGE = (Path(__file__).parents[2] / "docs/agent-setup.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
RUN = {"sh": ("bash", "-ec"), "python": (sys.executable, "-c")}
INSPECTOR = TOOLS / "npm/node_modules/.bin/mcp-inspector"
pytestmark = pytest.mark.interop


def blocks(language: str) -> list[str]:
    return [code for each, code in BLOCKS if each == language]


async def run(language: str, code: str, env: dict[str, str]) -> str:
    program = await asyncio.create_subprocess_exec(
        *RUN[language], code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    out, error = await program.communicate()
    assert program.returncode == 0, error.decode()
    return out.decode()


def content_of(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer["content"][0]["text"])
    return found


async def test_the_examples_do_what_the_page_says(edge: Edge) -> None:
    http = await edge.client()
    admin = {"HUM": edge.url, "KEY": key_of(http)}
    make, find, do, *_ = blocks("sh")
    reporting = json.loads(await run("sh", make, admin))
    viewer = {**admin, "KEY": reporting["secret"]}
    found = content_of(json.loads(await run("sh", find, viewer))["result"])
    assert "createContact" in [each["operation_id"] for each in found["operations"][:3]]
    assert content_of(json.loads(await run("sh", do, viewer))["result"])["status"] == 403, "it reports"
    made = content_of(json.loads(await run("sh", do, admin))["result"])
    assert made["status"] == 201
    (code,) = blocks("python")
    asked, done = (await run("python", code, {**admin, "CONTACT": made["body"]["id"]})).splitlines()
    assert json.loads(asked)["error"]["code"] == "confirmation_required" and json.loads(done) == {"status": 204}
    assert (await http.get("/api/contacts")).json()["contacts"] == []


def test_the_prompt_and_the_file_name_what_there_is() -> None:
    (prompt,), (file,) = blocks("text"), blocks("json")
    assert SEARCH in prompt and EXECUTE in prompt and "needs_confirm" in prompt
    assert json.loads(file)["mcpServers"]["hum"]["url"].endswith("/mcp")


async def test_the_inspector_works_with_it(edge: Edge, tmp_path: Path) -> None:
    http = await edge.client()
    words = shlex.split(blocks("sh")[3].replace("\\\n", " "))
    assert words[:3] == ["npx", "@modelcontextprotocol/inspector", "--cli"]
    words = [each.replace("$KEY", key_of(http)).replace("$HUM", edge.url) for each in words[2:]]
    found = content_of(json.loads(await run_tool(tmp_path, INSPECTOR, *words)))
    assert "listNumbers" in [each["operation_id"] for each in found["operations"][:3]]

    at = words[: words.index("--method")]
    listed = json.loads(await run_tool(tmp_path, INSPECTOR, *at, "--method", "tools/list", "--strict"))
    assert [each["name"] for each in listed["tools"]] == [SEARCH, EXECUTE]
    execution = ("--method", "tools/call", "--tool-name", EXECUTE)
    arguments = ("--tool-arg", "operation_id=createContact", f"arguments={json.dumps(ADA)}")
    made = content_of(json.loads(await run_tool(tmp_path, INSPECTOR, *at, *execution, *arguments)))
    assert (made["status"], made["body"]["name"]) == (201, "Ada")
    deletion = (
        "--tool-arg",
        "operation_id=deleteContact",
        f'arguments={{"id": "{made["body"]["id"]}"}}',
        "confirm=true",
    )
    assert content_of(json.loads(await run_tool(tmp_path, INSPECTOR, *at, *execution, *deletion))) == {"status": 204}
