"""An organization whose calls and texts use something, and the truth of what they used, kept apart from the database."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from control import readers
from control.calls import ending, reports
from control.feature import Reader
from control.usage import meters, pricetable, usecases
from control.usage.pricetable import Prices
from hum import ids
from hum.ids import Kind
from hum.v1 import runtime_pb2 as pb
from storage import calls, erasures, events, usage
from storage.calls import NewCall
from storage.db import Db
from storage.events import ReaderStart
from storage.usage import Owner, Usage

MODELS = ("gpt-realtime-2.1", "a-model-without-a-price")
TOKENS = (
    "audio_tokens_in",
    "text_tokens_in",
    "cached_audio_tokens_in",
    "cached_text_tokens_in",
    "audio_tokens_out",
    "text_tokens_out",
    "transcription_ms",
)
TABLE = """
[[prices]]
of = "gpt-realtime-2.1"
from = 2026-01-01
currency = "USD"
audio_tokens_in = "32"
audio_tokens_out = "64"
text_tokens_in = "4"
text_tokens_out = "24"
cached_audio_tokens_in = "0.4"
cached_text_tokens_in = "0.4"
transcription_ms = "0.01"

[[prices]]
of = "US"
from = 2026-01-01
currency = "USD"
inbound_seconds = "0.0085"
segments_sent = "0.0083"

[[prices]]
of = "US"
from = 2026-03-08
currency = "EUR"
segments_sent = "0.0090"
"""
PRICES = Prices(pricetable.read(TABLE))


def model_used(chance: random.Random) -> pb.ModelUsed:
    amounts = {name: chance.choice([0, chance.randint(1, 5000)]) for name in TOKENS}
    return pb.ModelUsed(model=chance.choice(MODELS), **amounts)


class Office:
    """`used`: how much of (meter, item) the calls and texts used, as the model and the carrier know it."""

    def __init__(self, db: Db, org: UUID, flows: Sequence[UUID], at: datetime) -> None:
        self.db, self.org, self.flows, self.at = db, org, flows, at
        self.used: Counter[tuple[str, str]] = Counter()
        self.batches: list[pb.ReportBatch] = []
        self._seqs: Counter[tuple[UUID, int]] = Counter()

    async def call(self) -> UUID:
        id, chance = ids.new(), random.Random(len(self.batches))
        flow = chance.choice([None, *self.flows])
        facts = "inbound", "in_progress", "+13175550199", "+13175550100", None, flow, 1 if flow else None, None
        async with self.db.system() as tx:
            await calls.create(tx, NewCall(id, self.org, f"CA{id.hex}", *facts, created_at=self.at))
        return id

    async def stream(self, call: UUID, number: int, opened_at: datetime) -> None:
        async with self.db.system() as tx:
            await tx.execute(
                "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node, opened_at) VALUES ($1, $2, $3, $4, 'm', $5)",
                self.org,
                call,
                number,
                f"MZ{call.hex}{number}",
                opened_at,
            )
            await tx.execute(
                "UPDATE calls SET streams_opened = $2, answered_at = coalesce(answered_at, $3) WHERE id = $1",
                call,
                number,
                opened_at,
            )

    async def answer(self, call: UUID, stream: int, used: pb.ModelUsed) -> None:
        """The model has answered, as the media process reports it."""
        for name in TOKENS:
            self.used[name, used.model] += getattr(used, name)
        self._seqs[call, stream] += 1
        report = pb.Report(
            call_id=ids.show(Kind.CALL, call), seq=self._seqs[call, stream], stream_number=stream, model_used=used
        )
        report.at.FromDatetime(self.at)
        batch = pb.ReportBatch(seq=len(self.batches) + 1, reports=[report])
        self.batches.append(batch)
        await self.bring(batch)

    async def bring(self, batch: pb.ReportBatch, node: str = "m") -> None:
        await reports.apply_batch(self.db, node, batch)

    async def end(self, call: UUID, seconds: int) -> None:
        async with self.db.system() as tx:
            state = await calls.lock(tx, call)
            opened = state.answered_at or state.created_at
            await ending.end_call(tx, state, "completed", opened + timedelta(seconds=seconds), "caller")
        self.used[meters.CALLS, ""] += 1
        if state.answered_at:
            self.used[meters.CALL_SECONDS, ""] += seconds
            self.used[meters.CALL_MINUTES, ""] += meters.minutes(seconds)
            self.used[meters.INBOUND_SECONDS, "US"] += seconds

    async def text(self, segments: int, at: datetime) -> Owner:
        owner = Owner(self.org, ids.new(), self.flows[0])
        async with self.db.system() as tx:
            used = [Usage("attempt 1", meters.SEGMENTS_SENT, "US", segments), Usage("", meters.MESSAGES_SENT, "", 1)]
            await usage.upsert(tx, owner, used, at)
            await usage.announce(tx, owner)
        self.used[meters.SEGMENTS_SENT, "US"] += segments
        self.used[meters.MESSAGES_SENT, ""] += 1
        return owner

    async def price(self, owner: Owner, amount: str) -> None:
        """The carrier tells what a text costs, perhaps again."""
        async with self.db.system() as tx:
            if await usage.set_price(tx, owner, "attempt 1", [meters.SEGMENTS_SENT], Decimal(amount), "USD"):
                await usage.announce(tx, owner)

    async def erase(self, call: UUID) -> None:
        async with self.db.tenant(self.org) as tx:
            await erasures.erase(tx, [call])

    async def count(self) -> None:
        reader = Reader(
            usage.READER,
            ReaderStart.BEGINNING,
            usecases.CHANGES,
            lambda tx, changed: usecases.count(tx, PRICES, changed),
            1.0,
            takes_emptied=True,
        )
        while await readers.read(self.db, reader):
            pass

    async def count_again(self) -> None:
        """All events once more, as if they were new."""
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT id, xid::text, org_id, type, subject_id, created_at, public_id FROM events")
            again = [events.Event(**{**row, "data": None}) for row in rows if row["type"] in usecases.CHANGES]
            await usecases.count(tx, PRICES, again)

    async def rolled_up(self) -> list[tuple[object, ...]]:
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT * FROM usage_rollups ORDER BY 1, 2, 3, 4, 5, 6, 7, 8")
        return [tuple(row) for row in rows]

    async def recounted(self) -> list[tuple[object, ...]]:
        """What the roll-ups must be, from the entries alone, by nobody's code."""
        sums: dict[tuple[object, ...], tuple[int, Decimal]] = {}
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT * FROM usage_entries WHERE used_at IS NOT NULL")
        for row in rows:
            at = row["used_at"].astimezone(UTC)
            quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
            cost, currency, basis = _cost(row["meter"], row["item"], row["quantity"], at)
            if row["price"] is not None:
                cost, currency, basis = row["price"], row["price_currency"], "carrier"
            key = row["org_id"], quarter, row["flow_id"], row["number_id"], row["meter"], row["item"], basis, currency
            quantity, costs = sums.get(key, (0, Decimal(0)))
            sums[key] = quantity + row["quantity"], costs + cost
        return [(*key, *sums[key]) for key in sorted(sums)]

    async def sums(self) -> dict[tuple[str, str], int]:
        """What the roll-ups hold by meter and item."""
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT meter, item, sum(quantity)::bigint AS n FROM usage_rollups GROUP BY 1, 2")
        return {(row["meter"], row["item"]): row["n"] for row in rows}


def _cost(meter: str, item: str, quantity: int, at: datetime) -> tuple[Decimal, str, str]:
    """By hand, from the table above."""
    million = Decimal(1_000_000)
    own = {
        ("audio_tokens_in", MODELS[0]): Decimal(32) * quantity / million,
        ("audio_tokens_out", MODELS[0]): Decimal(64) * quantity / million,
        ("text_tokens_in", MODELS[0]): Decimal(4) * quantity / million,
        ("text_tokens_out", MODELS[0]): Decimal(24) * quantity / million,
        ("cached_audio_tokens_in", MODELS[0]): Decimal("0.4") * quantity / million,
        ("cached_text_tokens_in", MODELS[0]): Decimal("0.4") * quantity / million,
        ("transcription_ms", MODELS[0]): (Decimal("0.01") * quantity / 60_000).quantize(Decimal("0.000000000001")),
        ("inbound_seconds", "US"): Decimal("0.0085") * -(-quantity // 60),
    }
    if (meter, item) == ("segments_sent", "US"):
        late = at >= datetime(2026, 3, 8, tzinfo=UTC)
        return Decimal("0.0090" if late else "0.0083") * quantity, "EUR" if late else "USD", "estimate"
    if (meter, item) in own:
        return own[meter, item], "USD", "estimate"
    return Decimal(0), "", "none"
