"""The models that calls' agents speak with, and what was measured of each."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from storage.db import Tx

#: The latest calls that are measured.
MOST_CALLS = 500

NOTE = "UPDATE calls SET models = models || $2::text WHERE id = $1 AND NOT $2 = ANY (models)"
# A call with two models belongs to neither: its entries of usage don't say which seconds were whose.
FIGURES = """
    WITH measured AS MATERIALIZED (
        SELECT id, models[1] AS model, extract(epoch FROM ended_at - answered_at) / 60 AS minutes
          FROM calls
         WHERE created_at >= $1 AND cardinality(models) = 1 AND ended_at > answered_at
         ORDER BY created_at DESC, id DESC
         LIMIT $2),
    costs AS (
        SELECT m.model, u.estimate_currency AS currency, sum(u.estimate) AS cost, count(*) FILTER (WHERE u.estimate IS NULL) AS unknown
          FROM measured m
          JOIN usage_entries u ON u.subject_id = m.id AND u.part LIKE 'stream %' AND u.meter = ANY ($3)
         GROUP BY 1, 2),
    waits AS (
        SELECT m.model, percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY l.first_sound_ms) AS first_sound_ms
          FROM measured m
          JOIN call_turn_latencies l ON l.call_id = m.id
         GROUP BY 1)
    SELECT m.model, count(*) AS calls, sum(m.minutes)::numeric AS minutes, w.first_sound_ms,
           (SELECT array_agg(c.currency || ' ' || c.cost) FROM costs c WHERE c.model = m.model AND c.cost IS NOT NULL) AS costs,
           EXISTS (SELECT FROM costs c WHERE c.model = m.model AND c.unknown > 0) AS costs_more
      FROM measured m
      LEFT JOIN waits w USING (model)
     GROUP BY m.model, w.first_sound_ms
"""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What was measured of a model on its latest calls.

    `first_sound_ms`: p50 and p95 from the caller's last sound to the agent's first.  `minute_cost`: of what the model used, with its
    currency; None if its price is unknown, or in several currencies.
    """

    calls: int
    first_sound_ms: tuple[int, int] | None
    minute_cost: tuple[Decimal, str] | None


async def note(tx: Tx, call: UUID, model: str) -> None:
    """Store that an agent of the call speaks with a model."""
    await tx.execute(NOTE, call, model)


async def figures(tx: Tx, since: datetime, meters: list[str]) -> dict[str, ModelFigures]:
    """Return the figures of the organization's latest MOST_CALLS calls, by model; `meters`: those of models."""
    return {row["model"]: _figures(dict(row)) for row in await tx.fetch(FIGURES, since, MOST_CALLS, meters)}


def _figures(row: dict[str, object]) -> ModelFigures:
    waits, costs, minutes = row["first_sound_ms"], row["costs"] or [], row["minutes"]
    assert isinstance(row["calls"], int) and isinstance(costs, list) and isinstance(minutes, Decimal)
    cost = None
    if len(costs) == 1 and not row["costs_more"] and minutes:
        currency, _, amount = costs[0].partition(" ")
        cost = (Decimal(amount) / minutes, currency)
    return ModelFigures(row["calls"], (waits[0], waits[1]) if isinstance(waits, list) else None, cost)
