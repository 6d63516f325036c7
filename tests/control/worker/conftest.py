"""A worker on a real queue, with a model and a directory that do as a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from control.app import build_worker
from control.calls import ending
from control.clients.openai import ModelError, ModelUsage, Transcript, Writer, WrittenAnswer
from control.clients.twilio import Lookup
from control.feature import ExternalClients
from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.settings import ControlSettings
from hum.v1 import flows_pb2
from storage import calls, identity
from storage.calls import NewCall, TurnRow
from storage.db import Db
from tests.control.conftest import FakeCarrier, Silent
from tests.support.waits import patience


@dataclass
class FakeModel:
    """Speaks and writes as configured, and fails as often as configured."""

    said: list[tuple[str, str]] = field(default_factory=list)
    speech_model: str = "gpt-4o-mini-tts"
    read: list[str] = field(default_factory=list)
    failures: int = 0
    outcome: Any = None
    #: (audio, language) of each transcription, and what it hears.
    listened: list[tuple[bytes, str | None]] = field(default_factory=list)
    hears: str = "Please call me back."
    #: How many transcriptions fail.
    deaf: int = 0

    async def synthesize(self, voice: str, text: str) -> bytes:
        self._fail()
        self.said.append((voice, text))
        return b"\x7f" * 800

    async def write(self, instructions: str, text: str, schema: Mapping[str, Any]) -> WrittenAnswer:
        self._fail()
        self.read.append(text)
        written: dict[str, Any] = {"text": "A call.", "key_points": ["p"], "next_actions": [], "label": "Call Back"}
        answer = written | ({"outcome": self.outcome} if "outcome" in schema["properties"] else {})
        return WrittenAnswer(answer, ModelUsage("gpt-5.4-mini", text_in=100, text_out=10))

    async def transcribe(self, wav: bytes, language: str | None) -> Transcript:
        if self.deaf:
            self.deaf -= 1
            raise ModelError("not now")
        self.listened.append((wav, language))
        return Transcript(self.hears, ModelUsage("gpt-4o-transcribe", audio_in=50, text_out=5))

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ModelError("not now")


@dataclass
class FakeLookups:
    """A directory that knows one name, and counts its lookups."""

    answer: Lookup | None = field(default_factory=lambda: Lookup("ACME INC", "Wireless", "mobile"))
    asked: list[str] = field(default_factory=list)
    fail: Exception | None = None

    async def look_up(self, e164: str) -> Lookup | None:
        self.asked.append(e164)
        if self.fail:
            raise self.fail
        return self.answer


@dataclass
class World:
    db: Db
    org: UUID
    model: FakeModel
    settings: ControlSettings
    lookups: FakeLookups = field(default_factory=FakeLookups)
    #: Writes instead of the model.
    writer: Writer | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.org, "admin", (), None, None, None, "test")

    async def flow(self, **fields: Any) -> UUID:
        async with self.db.tenant(self.org) as tx:
            return (
                await flow_usecases.create(
                    tx, self.principal, flows_pb2.Flow(name="F", **fields), Choices.of(self.settings)
                )
            ).id

    async def ended_call(
        self, *turns: tuple[str, str], flow: UUID | None = None, end: tuple[str, str] = ("completed", "caller")
    ) -> UUID:
        id, sid = ids.new(), f"CA{ids.new().hex}"
        async with self.db.system() as tx:
            await calls.create(
                tx,
                NewCall(
                    id,
                    self.org,
                    sid,
                    "inbound",
                    "in_progress",
                    "+13175550199",
                    "+13175550100",
                    None,
                    flow,
                    1 if flow else None,
                    None,
                ),
            )
            for seq, (role, text) in enumerate(turns, 1):
                await calls.add_turn(
                    tx, self.org, id, TurnRow(seq, role, text, None, seq * 1000, seq * 1000 + 500, False)
                )
            await ending.end_call(tx, await calls.lock(tx, id), end[0], now(), end[1])
        return id

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A running worker."""
        stop = asyncio.Event()
        writer = self.writer or self.model
        clients = ExternalClients(FakeCarrier(), self.lookups, self.model, writer, self.model, Silent())
        async with build_worker(self.settings, self.db.url, clients) as worker:
            task = asyncio.create_task(worker.run(stop))
            yield
            stop.set()
            await task

    async def until(self, query: str, *values: Any, is_true: Callable[[Any], bool] = bool) -> Any:
        async with patience():
            while True:
                async with self.db.system() as tx:
                    if is_true(found := await tx.fetchval(query, *values)):
                        return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    settings = ControlSettings(
        home=tmp_path,
        worker_idle_seconds=0.05,
        job_retry_seconds=0.02,
        job_attempts=3,
        job_heartbeat_seconds=0.6,
        sweep_seconds=0.2,
    )
    db, org = await Db.open(database_url, size=6), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    yield World(db, org, FakeModel(), settings)
    await db.close()
