"""docs/webhooks.md: its payloads are what is sent, and its snippets verify that, and nothing else."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway import contract, openapi, payloads, schemas
from hum.contract import wire
from sandbox.receiver import ReceivedRequest
from tests.control.webhooks.conftest import Hooked, received
from tests.gateway.test_openapi import schema_of
from tests.support.processes import kill_group

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "webhooks.md").read_text()
PEERS = ROOT / ".venv-clients"


def snippet(heading: str, language: str) -> str:
    """The first block in a language below a heading."""
    found = re.search(rf"^### {heading}\n.*?^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


async def delivered(hooked: Hooked) -> tuple[str, ReceivedRequest]:
    webhook = await hooked.webhook()
    await hooked.happen(received())
    await hooked.sender().send_due()
    return hooked.secrets[webhook], hooked.receiver.requests[0]


def forged(request: ReceivedRequest) -> list[ReceivedRequest]:
    """The same with another body, another id, an older time, another signature."""
    now = int(request.headers["webhook-timestamp"])
    return [
        ReceivedRequest(
            request.method, request.path, {**request.headers, **headers}, request.body + more, request.at_seconds
        )
        for headers, more in (
            ({}, b" "),
            ({"webhook-id": "evt_other"}, b""),
            ({"webhook-timestamp": str(now - 301)}, b""),
            ({"webhook-signature": "v1,AAAA v1a,BBBB"}, b""),
        )
    ]


async def test_every_type_is_sent_as_the_page_shows_it(hooked: Hooked) -> None:
    await hooked.webhook()
    messages = []
    for event in schemas.sent_types():
        message = cast("Any", event.message)._concrete_class()
        problems: list[Any] = []
        wire.read_body(msgspec.json.encode(payloads.example(event)["data"]), message, problems)
        assert problems == []
        messages.append(message)
    await hooked.happen(*messages)
    await hooked.sender().send_due()
    bodies = {body["type"]: body for each in hooked.receiver.requests if (body := json.loads(each.body))}
    section = openapi.document(contract.bindings(), "https://hum.example")["webhooks"]
    for event in schemas.sent_types():
        if event.name == "webhook.test":  # to one webhook alone
            assert event.name not in bodies
            continue
        example = payloads.example(event)
        body = bodies[example["type"]]
        assert body["data"] == example["data"]
        assert list(body) == list(example)
        assert (body["sequence"] is None) == (example["sequence"] is None)
        schema = section[event.name]["post"]["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema_of(schema)).validate(body)
        assert json.dumps(example, indent=2) in PAGE


async def test_the_python_snippet(hooked: Hooked) -> None:
    secret, request = await delivered(hooked)
    names: dict[str, Any] = {}
    exec(snippet("Python", "python"), names)
    assert names["verify"](secret, request.headers, request.body)["type"] == "sms.received"
    for each in forged(request):
        with pytest.raises(ValueError, match=r"signed|old"):
            names["verify"](secret, each.headers, each.body)


async def run(*command: str | Path, given: bytes = b"", cwd: Path, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(given), 60)
    finally:
        if process.returncode is None:
            kill_group(process.pid)
            await process.wait()
    return process.returncode or 0, out.decode()


Node = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Runs a program by the peers' node, beside their libraries."""
    assert (PEERS / ".ready").exists(), "run: make peers"

    async def run_node(program: Path, given: bytes) -> tuple[int, str]:
        if not (modules := tmp_path / "node_modules").exists():
            modules.symlink_to(PEERS / "npm" / "node_modules")
        copied = shutil.copy(program, tmp_path) if program.parent != tmp_path else program
        return await run(
            "node", copied, given=given, cwd=tmp_path, PATH=f"{PEERS / 'bin'}:{os.environ['PATH']}", HOME=str(tmp_path)
        )

    return run_node


def as_json(secret: str, request: ReceivedRequest) -> bytes:
    return json.dumps({"secret": secret, "headers": dict(request.headers), "body": request.body.decode()}).encode()


@pytest.mark.interop
async def test_the_node_snippet(hooked: Hooked, node: Node, tmp_path: Path) -> None:
    secret, request = await delivered(hooked)
    program = tmp_path / "snippet.mjs"
    program.write_text(
        snippet("Node", "javascript")
        + 'import { readFileSync } from "node:fs";\nconst given = JSON.parse(readFileSync(0, "utf8"));\n'
        + "console.log(verify(given.secret, given.headers, Buffer.from(given.body)).type);\n"
    )
    assert await node(program, as_json(secret, request)) == (0, "sms.received\n")
    for each in forged(request):
        code, out = await node(program, as_json(secret, each))
        assert code != 0
        assert "signed by HUM" in out or "too old" in out


@pytest.mark.interop
async def test_others_libraries_for_node(hooked: Hooked, node: Node) -> None:
    secret, request = await delivered(hooked)
    program = ROOT / "tests" / "clients" / "verify.mjs"
    code, out = await node(program, as_json(secret, request))
    assert code == 0, out
    id = json.loads(request.body)["id"]
    assert json.loads(out) == {"standardwebhooks": id, "svix": id}
    for each in forged(request):
        _, out = await node(program, as_json(secret, each))
        assert id not in json.loads(out).values(), out


@pytest.mark.interop
async def test_the_openssl_snippet(hooked: Hooked, tmp_path: Path) -> None:
    secret, request = await delivered(hooked)
    curl = tmp_path / "curl"  # the answer of GET .../deliveries/{delivery_id}
    curl.write_text(f"#!/bin/sh\ncat {tmp_path}/answer.json\n")
    curl.chmod(0o755)
    (tmp_path / "answer.json").write_text(json.dumps({"body": request.body.decode()}))
    code, out = await run(
        "bash",
        "-euc",
        snippet("curl and openssl", "bash"),
        cwd=tmp_path,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        HUM="https://hum.example",
        KEY="k",
        WEBHOOK="wh_1",
        DELIVERY="del_1",
        SECRET=secret,
        WEBHOOK_ID=request.headers["webhook-id"],
        WEBHOOK_TIMESTAMP=request.headers["webhook-timestamp"],
    )
    assert code == 0, out
    assert f"v1,{out.strip()}" == request.headers["webhook-signature"]
