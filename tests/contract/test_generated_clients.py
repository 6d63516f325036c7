"""Clients that others' generators make of the OpenAPI document, compiled strictly and run (`make peers`)."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import httpx
import pytest

from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import in_progress
from tests.support.processes import kill_group

ROOT = Path(__file__).parents[2]
SOURCES, TOOLS = ROOT / "tests/clients", ROOT / ".venv-clients"
TOOL_SECONDS = 300
pytestmark = pytest.mark.interop


async def run(folder: Path, *command: str | Path) -> str:
    """What a program of the clients' environment prints; it must succeed."""
    assert (TOOLS / ".ready").exists(), "run: make peers"
    variables = {"PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), TOOL_SECONDS)
    finally:
        if process.returncode is None:
            kill_group(process.pid)
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def ended_call(edge: Edge) -> tuple[httpx.AsyncClient, str]:
    http, media, call_id = await in_progress(edge)
    said = calls_pb2.Turn(seq=1, role=calls_pb2.SPEAKER_AGENT, text="Hi", end_ms=500, item_id="1-a")
    media.report(turn=said)
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000)))
    return http, call_id


async def document(edge: Edge, folder: Path) -> Path:
    async with httpx.AsyncClient(trust_env=False) as http:
        written = folder / "openapi.json"
        written.write_text((await http.get(f"{edge.url}/openapi.json")).text)
    return written


async def test_a_python_client(edge: Edge, tmp_path: Path) -> None:
    http, call_id = await ended_call(edge)
    source, target = await document(edge, tmp_path), tmp_path / "hum_client"
    said = await run(
        tmp_path,
        *(TOOLS / "bin/openapi-python-client", "generate", "--meta", "none", "--path", source, "--output-path", target),
        *("--config", SOURCES / "openapi-python-client.yml"),
    )
    assert "Unable to process" not in said, "no schema is left out"
    made = {path.stem for path in (target / "api").rglob("*.py")}
    operations = [each for path in json.loads(source.read_text())["paths"].values() for each in path.values()]
    assert len(made - {"__init__"}) == len(operations), "no operation is left out"
    shutil.copy(SOURCES / "client.py", tmp_path)
    await run(tmp_path, TOOLS / "bin/mypy", "--strict", "client.py", "hum_client")
    key = http.headers["Authorization"].removeprefix("Bearer ")
    assert await run(tmp_path, TOOLS / "bin/python", "client.py", edge.url, key, call_id) == "ok\n"


async def test_a_typescript_client(edge: Edge, tmp_path: Path) -> None:
    http, call_id = await ended_call(edge)
    await document(edge, tmp_path)
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(TOOLS / "npm/node_modules")
    await run(tmp_path, TOOLS / "npm/node_modules/.bin/openapi-typescript", "openapi.json", "-o", "schema.ts")
    await run(tmp_path, TOOLS / "npm/node_modules/.bin/tsc", "-p", tmp_path)
    key = http.headers["Authorization"].removeprefix("Bearer ")
    assert await run(tmp_path, TOOLS / "bin/node", "out/client.js", edge.url, key, call_id) == "ok\n"
