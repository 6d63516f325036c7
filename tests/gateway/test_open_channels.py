"""The gateway's channels to control stay open, whether or not there are requests."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from gateway import app
from hum import rpc
from hum.settings import Common, GatewaySettings
from tests.support.waits import patience


async def test_both_channels_have_a_request_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = Counter[str]()

    class Counting(HealthServicer):
        async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
            peers[context.peer()] += 1
            return health_pb2.HealthCheckResponse()

    monkeypatch.setattr(rpc, "KEEP_OPEN_SECONDS", 0.02)
    control, port = rpc.server(Common(), "127.0.0.1:0")
    health_pb2_grpc.add_HealthServicer_to_server(Counting(), control)
    await control.start()
    settings = GatewaySettings(
        home=tmp_path,
        gateway_listen="127.0.0.1:0",
        control_address=f"127.0.0.1:{port}",
        drain_seconds=1,
        linger_seconds=0,
    )
    async with app.serve(settings) as ports, httpx.AsyncClient(trust_env=False) as http, patience():
        # The first request of the API's channel; control refuses it, as it serves nothing else.
        await http.get(f"http://127.0.0.1:{ports.public}/readyz")
        while len([peer for peer, checks in peers.items() if checks > 1]) < 2:
            await asyncio.sleep(0.01)
    await control.stop(None)
