"""What docs/grpc.md tells clients to type, typed."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from hum.settings import environment
from hum.v1 import runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import in_progress

PAGE = (Path(__file__).parents[2] / "docs/grpc.md").read_text()
BIN = Path(sys.executable).parent
METHODS, CREATE, LIST = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
CLIENT, WATCHER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def run(edge: Edge, key: str, *command: str) -> str:
    """What a command prints."""
    variables = {"CONTROL": f"127.0.0.1:{edge.plane.control.port}", "KEY": key}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment() | variables | {"PATH": f"{BIN}:{environment()['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    return printed.decode()


@pytest.mark.interop
async def test_buf_curl_and_python(edge: Edge) -> None:
    http = await edge.client()
    key = http.headers["authorization"].removeprefix("Bearer ")
    methods = await run(edge, key, "sh", "-c", METHODS)
    assert {"hum.v1.FlowsService/ListFlows", "hum.v1.CallsService/StreamCall"} <= set(methods.split())
    made = json.loads(await run(edge, key, "sh", "-c", CREATE))["flow"]
    assert made["name"] == "Intake"
    assert [each["id"] for each in json.loads(await run(edge, key, "sh", "-c", LIST))["flows"]] == [made["id"]]
    (rest,) = (await http.get("/api/flows")).json()["flows"]
    assert rest["id"] == made["id"]
    assert (await run(edge, key, sys.executable, "-c", CLIENT)).splitlines() == [
        f"{made['id']} Intake",
        "NOT_FOUND NOT_FOUND",
    ]


@pytest.mark.interop
async def test_a_call_is_watched(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    key = http.headers["authorization"].removeprefix("Bearer ")
    media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=1_000))
    printed = (await run(edge, key, sys.executable, "-c", WATCHER, call_id)).split()
    assert printed[0] == "state" and printed[-1] == "ended"
