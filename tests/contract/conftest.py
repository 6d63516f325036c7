"""A running gateway before a running control plane, and a client with a key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from control.identity import usecases as identity
from gateway import app as gateway
from hum.settings import GatewaySettings
from tests.control.conftest import Plane, plane

__all__ = ["plane"]
TOKEN = "carrier-token"
PUBLIC = "https://hum.example"


@dataclass
class Edge:
    plane: Plane
    url: str

    async def client(
        self, name: str = "Clinic", role: str = "admin", scopes: tuple[str, ...] = ()
    ) -> httpx.AsyncClient:
        """A client with the key of a new organization."""
        org = await identity.create_organization(self.plane.control.db, name, f"owner@{name.lower()}.example")
        _, secret = await identity.issue_key(self.plane.control.db, org, "test", role, list(scopes))
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)


@pytest.fixture
async def edge(plane: Plane, tmp_path: Path) -> AsyncIterator[Edge]:
    settings = GatewaySettings(
        home=tmp_path,
        gateway_listen="127.0.0.1:0",
        control_address=f"127.0.0.1:{plane.control.port}",
        public_url=PUBLIC,
        media_url="wss://media.example",
        twilio_auth_token=TOKEN,
        twilio_account_sid="AC" + "0" * 32,
        heartbeat_seconds=0.1,
        drain_seconds=1,
        body_bytes=64 << 10,
    )
    async with gateway.serve(settings) as port:
        yield Edge(plane, f"http://127.0.0.1:{port}")
