"""An organization with a number, on a platform that was started for it alone: what `hum demo` and `hum eval` call."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from grpc import aio

from cli.operator import operator, sentence
from hum.settings import UpSettings
from hum.v1 import options_pb2, runtime_pb2

#: Defaults for single calls: every additional process costs a second of CPU before the first word.
ENVIRONMENT = {"HUM_DRAIN_SECONDS": "5", "HUM_MEDIA_WORKERS": "1", "HUM_GATEWAY_WORKERS": "1"}
INTERRUPTED = 130  # the same as shells'
PLANES = ("control", "worker", "media", "gateway")


class RequestFailed(Exception):  # noqa: N818
    """The platform refused a request, or answered it with something else."""


@dataclass
class Client:
    """The public REST API, with a key."""

    http: aiohttp.ClientSession
    url: str

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self.http.post(self.url + path, json=body) as answer:
            return await self._read(answer)

    async def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self.http.patch(self.url + path, json=body) as answer:
            return await self._read(answer)

    async def get(self, path: str) -> dict[str, Any]:
        async with self.http.get(self.url + path) as answer:
            return await self._read(answer)

    async def _read(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        body: dict[str, Any] = await answer.json()
        if answer.status >= 400:
            raise RequestFailed(f"{answer.method} {answer.url.path} returned {answer.status}: {body}")
        return body

    async def events(self, path: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield a stream's events as (name, data)."""
        async with self.http.get(self.url + path) as answer:
            if answer.content_type != "text/event-stream":
                raise RequestFailed(
                    f"GET {path} returned {answer.status}, {answer.content_type}; not a stream of events"
                )
            name = ""
            async for line in answer.content:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)


@dataclass(frozen=True, slots=True)
class Clinic:
    """The organization's key, and the id of its number."""

    key: str
    number_id: str

    @classmethod
    async def create(cls, settings: UpSettings, number: str, owner: str) -> "Clinic":
        """Create an organization as `hum admin` does, with this number and its owner's address.  Raises RequestFailed."""
        async with operator(settings, "hum-clinic") as control:
            try:
                org = await control.stub.CreateOrganization(
                    runtime_pb2.CreateOrganizationRequest(name="Demo Clinic", owner_email=owner, same_name=True),
                    metadata=control.metadata,
                )
                key = await control.stub.IssueApiKey(
                    runtime_pb2.IssueApiKeyRequest(organization_id=org.id, role=options_pb2.ROLE_ADMIN, name="demo"),
                    metadata=control.metadata,
                )
                # As the operator: if earlier demos left organizations, no organization may register a number by itself.
                number_row = await control.stub.AssignNumber(
                    runtime_pb2.AssignNumberRequest(organization_id=org.id, e164=number), metadata=control.metadata
                )
            except aio.AioRpcError as error:
                raise RequestFailed(sentence(error, control.address)) from error
            return cls(str(key.key), str(number_row.id))


def on_free_ports(settings: UpSettings, home: Path) -> UpSettings:
    """Return the settings of a platform of its own in `home`, beside any other on this machine."""
    free = {f"{plane}_listen": "127.0.0.1:0" for plane in ("control", "gateway", "media")}
    return settings.model_copy(update={"home": home, **free})
