"""A feature is a folder and one line: a throwaway one is added to a copy and works, with only these files touched.

CONTRIBUTING.md describes the same steps.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.topics import quick

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

PROTO = """
// Parrots: what somebody said, said again.
syntax = "proto3";

package hum.v1;

import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "hum/v1/options.proto";

service ParrotsService {
  // Teaches a parrot a word.
  rpc TeachParrot(TeachParrotRequest) returns (TeachParrotResponse) {
    option (google.api.http) = {
      post: "/api/parrots"
      body: "*"
    };
    option (rest) = {status: 201};
    option (access) = {
      role: ROLE_OPERATOR
      scope: "calls:write"
    };
  }
}

message TeachParrotRequest {
  string word = 1 [
    (google.api.field_behavior) = REQUIRED,
    (buf.validate.field).string = {
      min_len: 1
      max_len: 20
    }
  ];
}

message TeachParrotResponse {
  string word = 1;
}
"""
EVENT = """
// A parrot said its word.
message ParrotSpokeEvent {
  option (event) = {
    name: "parrot.spoke"
    version: 1
    visible: true
  };
  string word = 1;
}
"""
MIGRATION = """
CREATE TABLE parrots (
    id uuid PRIMARY KEY,
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    word text NOT NULL
);
CALL hum.tenant_table('parrots');
"""
STORAGE = '''
"""Parrots and their words."""

from uuid import UUID

from storage.db import Tx

TEACH = "INSERT INTO parrots (id, org_id, word) VALUES ($1, hum.org_id(), $2)"
WORD = "SELECT word FROM parrots WHERE id = $1"


async def teach(tx: Tx, id: UUID, word: str) -> None:
    await tx.execute(TEACH, id, word)


async def word(tx: Tx, id: UUID) -> str:
    spoken: str = await tx.fetchval(WORD, id)
    return spoken
'''
FEATURE = '''
"""Parrots: what somebody said, said again."""

from functools import partial
from uuid import UUID

from control import jobs
from control.base.job import Job
from control.boundary import TransactionContext
from control.feature import Deps, Feature
from hum import ids
from hum.settings import ControlSettings
from hum.v1 import events_pb2, parrots_pb2
from storage import events, parrots
from storage.db import Db

SPEAK = Job("parrot_speaks", concurrency=1, per_organization=1)


class ParrotsServicer:
    async def TeachParrot(
        self, request: parrots_pb2.TeachParrotRequest, ctx: TransactionContext
    ) -> parrots_pb2.TeachParrotResponse:
        id = ids.new()
        await parrots.teach(ctx.tx, id, request.word)
        await jobs.enqueue(ctx.tx, SPEAK, ctx.principal.org_id, id)
        return parrots_pb2.TeachParrotResponse(word=request.word)


async def speak(db: Db, org: UUID, id: UUID) -> None:
    async with db.tenant(org) as tx:
        await events.append(tx, org, id, events_pb2.ParrotSpokeEvent(word=await parrots.word(tx, id)))


def feature(_: ControlSettings, deps: Deps) -> Feature:
    return Feature(
        services={parrots_pb2.DESCRIPTOR.services_by_name["ParrotsService"]: ParrotsServicer()},
        jobs={SPEAK: partial(speak, deps.db)},
    )
'''
#: The modules that print pages, and the pages.
PAGES = {
    "hum.contract.authorization": "docs/authorization.md",
    "hum.contract.eventtypes": "docs/events.md",
    "storage.schema": "storage/schema.sql",
}
WEBHOOKS = "docs/webhooks.md"
#: Run in the copy: over REST in, through the worker, out as an event over REST.
TEST = """
import asyncio

from control.app import build_worker
from tests.contract.conftest import *
from tests.contract.conftest import Edge
from tests.control.conftest import FakeCarrier, fake_clients
from tests.support.waits import patience


async def test_a_parrot_speaks(edge: Edge) -> None:
    http, stop = await edge.client(), asyncio.Event()
    assert (await http.post("/api/parrots", json={"word": ""})).status_code == 400
    answer = await http.post("/api/parrots", json={"word": "hello"})
    assert (answer.status_code, answer.json()) == (201, {"word": "hello"})
    assert "/api/parrots" in (await http.get("/openapi.json")).json()["paths"]
    settings = edge.plane.settings.model_copy(update={"worker_idle_seconds": 0.05})
    async with build_worker(settings, edge.plane.control.db.url, fake_clients(FakeCarrier())) as worker:
        working = asyncio.create_task(worker.run(stop))
        async with patience():
            while not (found := (await http.get("/api/events")).json()["events"]):
                await asyncio.sleep(0.05)
        stop.set()
        await working
    assert [(each["type"], each["data"]) for each in found] == [("parrot.spoke", {"word": "hello"})]
"""


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def run(copy: Path, *command: str | Path) -> str:
    # The copy's own modules come before those that are installed.
    done = subprocess.run(
        [str(part) for part in command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_pages(copy: Path) -> None:
    """Write what `make docs` writes and a feature changes."""
    for module, page in PAGES.items():
        (copy / page).write_text(run(copy, sys.executable, "-m", module))
    run(copy, sys.executable, "-m", "gateway.payloads", WEBHOOKS)


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_a_feature_is_a_folder_a_proto_a_migration_and_one_line(tmp_path: Path) -> None:
    copy = tmp_path / "hum"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", "var", "build", "*.egg-info", "__pycache__", ".*_cache", "_native"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    (copy / "media/_native").symlink_to(ROOT / "media/_native")  # of the same sources
    before = snapshot(copy)

    (copy / "proto/hum/v1/parrots.proto").write_text(PROTO.lstrip())
    events = copy / "proto/hum/v1/events.proto"
    events.write_text(events.read_text() + EVENT)
    number = len(list((copy / "storage/migrations").glob("*.sql"))) + 1
    (copy / f"storage/migrations/{number:04}_parrots.sql").write_text(MIGRATION.lstrip())
    (copy / "storage/parrots.py").write_text(STORAGE.lstrip())
    (copy / "control/parrots").mkdir()
    (copy / "control/parrots/__init__.py").touch()
    (copy / "control/parrots/feature.py").write_text(FEATURE.lstrip())
    app = copy / "control/app.py"
    text = app.read_text()
    text = text.replace(
        "from control.review.feature",
        "from control.parrots.feature import feature as parrots\nfrom control.review.feature",
    )
    text = text.replace("FEATURES = (", "FEATURES = (parrots, ")
    app.write_text(text)
    run(copy, BIN / "buf", "format", "-w")
    run(copy, sys.executable, "proto/contract.py", "write")
    write_pages(copy)

    touched = {name for name, content in snapshot(copy).items() if before.get(name) != content}
    generated = {name for name in touched if name.startswith("hum/v1/")}
    assert generated >= {"hum/v1/parrots_pb2.py", "hum/v1/parrots_pb2_grpc.py", "hum/v1/events_pb2.py"}
    assert touched - generated == {
        "control/app.py",
        "control/parrots/__init__.py",
        "control/parrots/feature.py",
        "proto/hum/v1/events.proto",
        "proto/hum/v1/parrots.proto",
        f"storage/migrations/{number:04}_parrots.sql",
        "storage/parrots.py",
        *PAGES.values(),
        WEBHOOKS,
    }
    assert before.keys() <= snapshot(copy).keys()

    (copy / "tests/contract/test_parrots.py").write_text(TEST.lstrip())
    assert "1 passed" in run(
        copy, sys.executable, "-m", "pytest", "tests/contract/test_parrots.py", "-p", "no:cacheprovider"
    )
    run(copy, sys.executable, "-m", "pytest", "-m", quick(), "tests/house", "-p", "no:cacheprovider")
    run(copy, BIN / "lint-imports", "--no-cache")
    run(copy, BIN / "mypy", "-p", "control")
    run(copy, sys.executable, "proto/contract.py", "breaking")
    run(copy, sys.executable, "tests/run.py")
