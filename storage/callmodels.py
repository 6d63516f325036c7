"""The models that calls' agents speak with, and what was measured of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from asyncpg import Record

from storage.db import Tx

#: The latest calls that are measured.
MOST_CALLS = 500

NOTE = "UPDATE calls SET models = models || $2::text WHERE id = $1 AND NOT $2 = ANY (models)"
# A call with two models belongs to neither: its entries of usage don't say which seconds were whose.  Of what a transferred call
# lasted, the model had a part.
FIGURES = """
    WITH measured AS MATERIALIZED (
        SELECT id, models[1] AS model, extract(epoch FROM ended_at - answered_at) / 60 AS minutes
          FROM calls
         WHERE created_at >= $1 AND cardinality(models) = 1 AND ended_at > answered_at
         ORDER BY created_at DESC, id DESC
         LIMIT $2),
    priced AS (
        SELECT m.model, m.minutes, sum(u.estimate) AS cost, min(u.estimate_currency) AS currency,
               count(DISTINCT u.estimate_currency) > 1 OR bool_or(u.estimate IS NULL) AS is_unclear
          FROM measured m
          JOIN usage_entries u ON u.subject_id = m.id AND u.part LIKE 'stream %' AND u.meter = ANY ($3)
         WHERE NOT EXISTS (SELECT FROM transfers t WHERE t.call_id = m.id AND t.connected_at IS NOT NULL)
         GROUP BY m.id, m.model, m.minutes
        HAVING bool_and(u.counted_quantity IS NOT NULL)),
    costs AS (
        SELECT model, sum(cost) / sum(minutes) AS minute_cost, min(currency) AS currency
          FROM priced
         GROUP BY model
        HAVING NOT bool_or(is_unclear) AND count(DISTINCT currency) = 1),
    waits AS (
        SELECT m.model, percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY l.first_sound_ms) AS first_sound_ms
          FROM measured m
          JOIN call_turn_latencies l ON l.call_id = m.id AND l.first_sound_ms IS NOT NULL
         GROUP BY 1),
    counts AS (SELECT model, count(*) AS calls FROM measured GROUP BY 1)
    SELECT model, calls, first_sound_ms, minute_cost, currency
      FROM counts
      LEFT JOIN waits USING (model)
      LEFT JOIN costs USING (model)
"""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What was measured of a model on its latest calls.

    `first_sound_ms`: p50 and p95 from the caller's last sound to the agent's first.  `minute_cost`: of what the model used in calls that
    were not transferred, with its currency; None if its price is unknown, or in several currencies.
    """

    calls: int
    first_sound_ms: tuple[int, int] | None
    minute_cost: tuple[Decimal, str] | None


async def note(tx: Tx, call: UUID, model: str) -> None:
    """Store that an agent of the call speaks with a model."""
    await tx.execute(NOTE, call, model)


async def figures(tx: Tx, since: datetime, meters: Sequence[str]) -> dict[str, ModelFigures]:
    """Return the figures of the organization's latest MOST_CALLS calls, by model; `meters`: those of models."""
    return {row["model"]: _figures(row) for row in await tx.fetch(FIGURES, since, MOST_CALLS, list(meters))}


def _figures(row: Record) -> ModelFigures:
    waits, cost = row["first_sound_ms"], row["minute_cost"]
    return ModelFigures(
        calls=row["calls"],
        first_sound_ms=None if waits is None else (waits[0], waits[1]),
        minute_cost=None if cost is None else (cost, row["currency"]),
    )
