"""The models that answered for the stages of calls' cascades, a row for each call, stage and model."""

from uuid import UUID

from storage.db import Tx

ADD = """
    INSERT INTO call_stages AS s (org_id, call_id, stage, model, requests, failures, took_ms, longest_ms, last_error)
    VALUES ($1, $2, $3, $4, 1, CASE WHEN $6::text IS NULL THEN 0 ELSE 1 END,
            CASE WHEN $6::text IS NULL THEN $5 ELSE 0 END, CASE WHEN $6::text IS NULL THEN $5 ELSE 0 END, $6)
    ON CONFLICT (call_id, stage, model) DO UPDATE
       SET requests = s.requests + 1, failures = s.failures + excluded.failures, took_ms = s.took_ms + excluded.took_ms,
           longest_ms = greatest(s.longest_ms, excluded.longest_ms), last_error = coalesce(excluded.last_error, s.last_error)
"""
#: Those of call `c`, from its ears to its mouth, those that were asked most first; JSON objects in the contract's form.
OF_CALL = """
    ARRAY(SELECT json_strip_nulls(json_build_object(
                     'stage', s.stage, 'model', s.model, 'requests', s.requests, 'failures', s.failures,
                     'average_ms', round(s.took_ms::numeric / nullif(s.requests - s.failures, 0))::integer,
                     'longest_ms', CASE WHEN s.requests > s.failures THEN s.longest_ms END, 'last_error', s.last_error))
            FROM call_stages s
           WHERE s.call_id = c.id
           ORDER BY s.stage = 'mouth', s.stage = 'mind', s.requests DESC, s.model)
"""


async def add(tx: Tx, org: UUID, call: UUID, stage: str, model: str, took_ms: int, error: str | None) -> None:
    """Add a request for a stage of a call's cascade; `error` says how it failed."""
    await tx.execute(ADD, org, call, stage, model, took_ms, error)
