"""What could not be handled is listed with its reason, and handled again once an operator says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import httpx
import openai
import pytest
from grpc import aio

from cli import admin
from control import jobs, readers
from control.app import build_worker
from control.base.job import Job
from control.calls import reports
from control.clients.openai import ModelError, _errors, retry_after_seconds
from control.feature import Reader
from control.worker import Worker
from hum import ids
from hum.settings import ControlSettings
from hum.v1 import calls_pb2, events_pb2, runtime_pb2, runtime_pb2_grpc
from storage import events
from storage.db import Tx
from storage.events import Event, ReaderStart
from tests.control.conftest import FakeCarrier, Plane, fake_clients
from tests.control.numbers.desk import Desk
from tests.control.test_hang_up import ringing
from tests.support.cases import in_turn
from tests.support.present import present
from tests.support.waits import until


@dataclass
class Operator:
    plane: Plane

    @property
    def stub(self) -> Any:
        return runtime_pb2_grpc.AdminServiceStub(self.plane.channel)

    async def sees(self) -> list[runtime_pb2.SetAside]:
        request = runtime_pb2.ListSetAsideRequest(limit=100)
        return list((await self.stub.ListSetAside(request, metadata=self.plane.node("admin"))).set_aside)

    async def releases(self, *wanted: str) -> int:
        request = runtime_pb2.ReleaseSetAsideRequest(ids=wanted)
        return int((await self.stub.ReleaseSetAside(request, metadata=self.plane.node("admin"))).released)


@dataclass
class Reading:
    """A reader that fails until it is mended."""

    is_mended: bool = False
    handled: list[int] = field(default_factory=list)

    async def handle(self, _: Tx, found: Sequence[Event]) -> None:
        if not self.is_mended:
            raise ValueError("a bug")
        self.handled += [present(event.data)["created"] for event in found]

    def reader(self) -> Reader:
        return Reader("test", ReaderStart.BEGINNING, frozenset({"contacts.imported"}), self.handle, 1.0)


@pytest.fixture
def operator(plane: Plane) -> Operator:
    return Operator(plane)


@pytest.fixture
async def org(plane: Plane) -> UUID:
    await plane.tenant()
    async with plane.control.db.system() as tx:
        found: UUID = await tx.fetchval("SELECT org_id FROM organizations")
    return found


async def test_a_held_job_runs_again(plane: Plane, operator: Operator, org: UUID) -> None:
    db, ran = plane.control.db, list[UUID]()
    is_mended = asyncio.Event()
    job = Job("mend", 2, 2, attempts=1)

    async def handler(_: UUID, row: UUID) -> None:
        ran.append(row)
        if not is_mended.is_set():
            raise ValueError("no ink")

    row = ids.new()
    async with db.system() as tx:
        await jobs.enqueue(tx, job, org, row)
    settings = plane.settings.model_copy(update={"worker_idle_seconds": 0.05, "sweep_seconds": 0.05})
    async with working(settings, db.url, job, handler):
        (held,) = await until(operator.sees)
        assert (held.about, held.organization_id) == ("mend", ids.show(ids.Kind.ORGANIZATION, org))
        assert held.reason == "ValueError: no ink"
        is_mended.set()
        assert await operator.releases(held.id) == 1
        await until(lambda: len(ran) == 2)
        await until(lambda: _is_empty(operator))
    assert ran == [row, row]
    assert await operator.releases(held.id) == 0, "it is not held any more"


async def test_the_command_lists_and_releases(
    plane: Plane, operator: Operator, org: UUID, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUM_HOME", str(plane.settings.home))
    monkeypatch.setenv("HUM_CONTROL_ADDRESS", f"127.0.0.1:{plane.control.port}")

    def printed() -> dict[str, Any]:
        """What the command has written, after the platform's own log."""
        written: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return written

    db, reading = plane.control.db, Reading()
    assert await admin.jobs(limit=100) == 0
    assert printed() == {"set_aside": []}
    async with db.tenant(org) as tx:
        for n in range(3):
            await events.append(tx, org, ids.new(), events_pb2.ContactsImportedEvent(created=n))
    assert await readers.read(db, reading.reader())
    assert await admin.jobs(limit=2) == 0
    (first, second), held = printed()["set_aside"], await operator.sees()
    assert [first["id"], second["id"]] == [each.id for each in held[:2]], "the oldest first"
    assert first == {
        "id": held[0].id,
        "about": "test, contacts.imported",
        "organization_id": ids.show(ids.Kind.ORGANIZATION, org),
        "at": held[0].at.ToJsonString(),
        "reason": "ValueError('a bug')",
    }

    assert await admin.release_jobs([first["id"], second["id"]]) == 0
    assert printed() == {"released": 2}
    assert await admin.jobs(limit=100) == 0
    assert [each["id"] for each in printed()["set_aside"]] == [held[2].id]

    capsys.readouterr()
    assert await admin.release_jobs(["nonsense"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("hum: ") and "nonsense" in said, "a sentence, and no traceback"


async def _is_empty(operator: Operator) -> bool:
    return not await operator.sees()


@asynccontextmanager
async def working(settings: ControlSettings, url: str, job: Job, handler: Any) -> AsyncIterator[None]:
    """A worker that has this job besides."""
    stop = asyncio.Event()
    async with build_worker(settings, url, fake_clients(FakeCarrier())) as worker:
        worker._jobs[job] = handler
        task = asyncio.create_task(worker.run(stop))
        yield
        stop.set()
        await task


async def test_an_event_is_handled_again_and_set_aside_again_if_that_fails(
    plane: Plane, operator: Operator, org: UUID
) -> None:
    db, reading = plane.control.db, Reading()
    reader = reading.reader()
    async with db.tenant(org) as tx:
        for n in range(2):
            await events.append(tx, org, ids.new(), events_pb2.ContactsImportedEvent(created=n))
    assert await readers.read(db, reader)
    first, second = await operator.sees()
    assert first.id.startswith("event:test:")
    assert (first.about, first.reason) == ("test, contacts.imported", "ValueError('a bug')")
    assert not await readers.read_released(db, reader), "nobody has released it"

    assert await operator.releases(first.id) == 1
    assert [each.id for each in await operator.sees()] == [second.id], "it is about to be handled"
    assert await readers.read_released(db, reader)
    assert {each.id for each in await operator.sees()} == {first.id, second.id}

    reading.is_mended = True
    assert await operator.releases(first.id, second.id) == 2
    while await readers.read_released(db, reader):
        pass
    assert reading.handled == [0, 1]
    assert await operator.sees() == []


async def test_a_worker_handles_what_is_released(plane: Plane, operator: Operator, org: UUID) -> None:
    db = plane.control.db
    async with db.tenant(org) as tx:
        await events.append(tx, org, ids.new(), events_pb2.ContactsImportedEvent(created=1))
    async with db.system() as tx:
        id = await tx.fetchval("SELECT max(id) FROM events")
        await tx.execute("INSERT INTO events_set_aside (reader, event_id, reason) VALUES ('webhooks', $1, 'r')", id)

    async def nothing(*_: UUID) -> None: ...

    settings = plane.settings.model_copy(update={"sweep_seconds": 0.05})
    async with working(settings, db.url, Job("none", 1, 1), nothing):
        assert await operator.releases(f"event:webhooks:{id}") == 1

        async def is_gone() -> bool:
            async with db.system() as tx:
                return not await tx.fetchval("SELECT count(*) FROM events_set_aside")

        await until(is_gone)


async def test_a_report_is_stored_where_it_belongs(plane: Plane, operator: Operator) -> None:
    db, id = plane.control.db, await ringing(Desk(plane, await plane.tenant()))
    shown = ids.show(ids.Kind.CALL, id)
    async with db.system() as tx:
        await tx.execute(
            "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) SELECT org_id, id, 1, 'MZ', 'm' FROM calls"
        )
    owner = await asyncpg.connect(db.url)
    await owner.execute("ALTER TABLE call_turns ADD CONSTRAINT bad CHECK (text <> 'first')")

    def said(seq: int, text: str) -> runtime_pb2.Report:
        turn = calls_pb2.Turn(seq=seq, role=calls_pb2.SPEAKER_CALLER, text=text, start_ms=seq * 1000)
        report = runtime_pb2.Report(call_id=shown, stream_number=1, seq=seq, turn=turn)
        report.at.GetCurrentTime()
        return report

    batch = runtime_pb2.ReportBatch(seq=1, reports=[said(1, "first"), said(2, "second")])
    await reports.apply_batch(db, "m", batch)
    (held,) = await operator.sees()
    assert (held.id, held.about) == ("report:m:1:0", f"call {id}")
    with pytest.raises(aio.AioRpcError) as refused:
        await operator.releases(held.id)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "CheckViolation" in str(refused.value.details())
    assert [each.id for each in await operator.sees()] == [held.id], "nothing is lost by trying"

    await owner.execute("ALTER TABLE call_turns DROP CONSTRAINT bad")
    assert await operator.releases(held.id) == 1
    turns = await owner.fetch("SELECT text FROM call_turns ORDER BY seq")
    await owner.close()
    assert [row["text"] for row in turns] == ["first", "second"]
    assert await operator.sees() == []


@in_turn(("bad",), ["", "job", "job:x", "job:1:2", "event:usage", "event:usage:x", "report:m:1", "x:1"])
async def test_what_is_no_id_changes_nothing(operator: Operator, bad: str) -> None:
    with pytest.raises(aio.AioRpcError) as refused:
        await operator.releases(bad)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_it_is_the_operators_alone(plane: Plane, operator: Operator) -> None:
    for stranger in (plane.node("gateway"), plane.node("media"), await plane.tenant()):
        for method, request in (
            ("ListSetAside", runtime_pb2.ListSetAsideRequest(limit=1)),
            ("ReleaseSetAside", runtime_pb2.ReleaseSetAsideRequest(ids=["job:1"])),
        ):
            with pytest.raises(aio.AioRpcError) as refused:
                await getattr(operator.stub, method)(request, metadata=stranger)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "90"}, 90.0),
        ({"retry-after-ms": "1500", "retry-after": "90"}, 1.5),
        ({"retry-after": "86400"}, 3600.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)
def test_a_model_that_is_busy_is_asked_again_when_it_says(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds
    answer: Any = httpx.Response(429, headers=headers, request=httpx.Request("POST", "http://model.example"))
    with pytest.raises(ModelError) as refused, _errors():
        raise openai.RateLimitError("busy", response=answer, body=None)
    assert refused.value.retry_after_seconds == seconds
    delay = Worker._delay(_Quick(), 1, refused.value)  # type: ignore[arg-type]
    assert delay.total_seconds() == (seconds or 0.02)


class _Quick:
    _settings = ControlSettings(job_retry_seconds=0.02)
