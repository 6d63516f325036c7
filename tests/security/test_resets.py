"""Control's port under strangers who open streams and reset them at once: others wait, but are answered, and little piles up."""

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.control.conftest import Plane
from tests.support.programs import running

pytestmark = pytest.mark.strain
ROOT = Path(__file__).parents[2]
#: Each with so many streams a second: together, several times what Python takes.
CONNECTIONS, RATE = 4, 2_500
FLOOD_S = 5.0
MB = 1 << 20


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/hum.v1.FlowsService/CreateFlow"])
async def test_streams_that_are_reset_at_once_keep_nobody_out(plane: Plane, path: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(plane.channel)
    loop, process = asyncio.get_running_loop(), psutil.Process()

    async def asked_s() -> float:
        began_s = loop.time()
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        return loop.time() - began_s

    await asked_s()
    before, peak, waits = process.memory_info().rss, 0, list[float]()
    async with AsyncExitStack() as stack:
        command = (sys.executable, "-m", "tests.security.resetting", str(plane.control.port), path, str(RATE))
        for _ in range(CONNECTIONS):
            stranger = await stack.enter_async_context(running(*command, cwd=ROOT, stdout=subprocess.PIPE))
            assert await stranger.line() == "begun"
        over_s = loop.time() + FLOOD_S
        while loop.time() < over_s:
            waits.append(await asked_s())
            peak = max(peak, process.memory_info().rss)
    assert max(waits) < 20, f"a request waited {max(waits):.1f} s"
    assert peak - before < 400 * MB, f"grew by {(peak - before) / MB:.0f} MB"
