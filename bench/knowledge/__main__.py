"""The command python -m bench.knowledge: recall@5 of the committed questions, and the latency of a look-up among many passages.

The documents go through the product's own conversion, storage and look-up, on a dedicated PostgreSQL over loopback.  To fill up to
`--passages`, documents are made of the corpus's own words in another order, so that every word of a question has many wrong answers.
Embeddings are the sandbox's, or those of the endpoint at `--base-url`.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import uvloop

from bench.knowledge.quality import FOUND, Question, corpus, questions
from control.base.egress import Policy
from control.clients.embeddings import Embedder, Embeddings
from control.clients.http import GuardedClient
from control.knowledge import formats
from control.knowledge.jobs import Conversions
from control.knowledge.search import DocumentSearch
from control.knowledge.vectors import VectorCache
from hum import ids
from hum.settings import ControlSettings
from sandbox.openai import Model
from storage import identity, knowledge
from storage.db import Db
from storage.embedded import EmbeddedPostgres
from storage.knowledge import DocumentContent, NewDocument
from storage.migrate import migrate

FILLER_PASSAGES, SENTENCE_WORDS = 500, 14
KEY = "key"


@dataclass(frozen=True, slots=True)
class Row:
    """Recall and latency of one way of searching."""

    way: str
    passages: int
    recall_at_5: float
    first: float  # share with the right passage first
    p50_ms: float
    p95_ms: float
    missed: list[str]


@dataclass(slots=True)
class House:
    db: Db
    org: UUID
    conversions: Conversions
    embedder: Embedder
    names: dict[UUID, str]
    held: VectorCache

    async def add(self, name: str, body: bytes) -> int:
        """Add a document; return its number of passages."""
        new = NewDocument(name, "en", formats.config("en"), None, 0)
        async with self.db.tenant(self.org) as tx:
            row = await knowledge.create(tx, ids.new(), new, DocumentContent(formats.format_of(body, name), body))
        await self.conversions.convert(self.org, row.id)
        await self.conversions.embed(self.org, row.id)
        async with self.db.tenant(self.org) as tx:
            row = await knowledge.get(tx, row.id)
        assert row.status == "ready" and row.embedded_by, (name, row.failure)
        self.names[row.id] = name
        return row.passages

    async def measure(self, way: str, passages: int, rounds: int) -> Row:
        search = DocumentSearch(self.db, None if way == "words" else self.embedder, 10.0, self.held)
        took, ranks, missed = list[float](), list[int | None](), list[str]()
        for again in range(rounds + 1):
            for question in questions():
                began = time.perf_counter()
                hits = (await search.find(self.org, list(self.names), question.text, FOUND)).hits
                if again:
                    took.append((time.perf_counter() - began) * 1000)
                else:
                    # The first round warms up, and determines the recall.
                    texts = [(self.names[hit.row.place.document], hit.row.text) for hit in hits]
                    ranks.append(rank(question, texts))
                    missed += [question.text] if ranks[-1] is None else []
        return Row(
            way,
            passages,
            round(sum(position is not None for position in ranks) / len(ranks), 3),
            round(sum(position == 1 for position in ranks) / len(ranks), 3),
            round(float(np.percentile(took, 50)), 1),
            round(float(np.percentile(took, 95)), 1),
            missed,
        )


def rank(question: Question, passages: Sequence[tuple[str, str]]) -> int | None:
    return next((n for n, passage in enumerate(passages, 1) if question.is_answered_by(*passage)), None)


def filler(words: Sequence[str], seed: int) -> bytes:
    """Return a document of sections, made of the corpus's words in their frequency."""
    chance = random.Random(seed)

    def sentence() -> str:
        return " ".join(chance.choices(words, k=SENTENCE_WORDS)).capitalize() + "."

    sections = (
        f"# {' '.join(chance.choices(words, k=3))}\n\n{' '.join(sentence() for _ in range(8))}"
        for _ in range(FILLER_PASSAGES)
    )
    return "\n\n".join(sections).encode()


@asynccontextmanager
async def opened(home: Path, arguments: argparse.Namespace) -> AsyncIterator[House]:
    server = EmbeddedPostgres(home)
    url = await server.start()
    try:
        await migrate(url)
        db = await Db.open(url, size=4)
        org = ids.new()
        async with db.system() as tx:
            await identity.create_organization(tx, org, "Bench")
        async with Model.serve(api_key=KEY) as model:
            settings = ControlSettings(
                home=home, openai_base_url=arguments.base_url or model.url, openai_api_key=KEY, knowledge_passages=10**6
            )
            embedder = Embeddings(settings, arguments.model, arguments.dimensions)
            web = GuardedClient(Policy())
            yield House(db, org, Conversions(db, web, embedder, settings), embedder, {}, VectorCache(1 << 30))
            await web.close()
            await embedder.close()
        await db.close()
    finally:
        await server.stop()


async def run(home: Path, arguments: argparse.Namespace) -> list[Row]:
    documents, rows = corpus(), list[Row]()
    words = b" ".join(documents.values()).decode().split()
    async with opened(home, arguments) as house:
        passages = sum([await house.add(name, body) for name, body in documents.items()])
        rows += [await house.measure(way, passages, 1) for way in ("words", "both")]
        while passages < arguments.passages:
            passages += await house.add(f"filler {passages}", filler(words, passages))
        rows += [await house.measure(way, passages, arguments.rounds) for way in ("words", "both")]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.knowledge", description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base-url", default="", help="an endpoint for embeddings instead of the sandbox's")
    parser.add_argument("--model", default="text-embedding-3-small")
    parser.add_argument("--dimensions", type=int, default=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hum-bench-") as name:
        home = Path(name)
        home.chmod(0o711)
        rows = uvloop.run(run(home, arguments))
    for row in rows:
        print(json.dumps(asdict(row)))
    sys.exit(0)


if __name__ == "__main__":
    main()
