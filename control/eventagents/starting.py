"""The reader of events behind the transaction horizon, which creates a run for each flow that an event starts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from prometheus_client import Counter as Metric

from control import jobs
from control.eventagents import eventmatching
from control.eventagents.eventmatching import EventRunLimits
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import event_runs
from storage.db import Tx
from storage.event_runs import Cause, Listener, NewEventRun
from storage.events import Event

READER = "event_agents"
SKIPPED = Metric("hum_event_runs_skipped_total", "Events that a flow's agent did not handle, by reason", ["reason"])


async def start(tx: Tx, batch: Sequence[Event], *, limits: EventRunLimits) -> None:
    """Create the runs of these events, in the transaction that moves the reader's cursor."""
    listeners = await event_runs.listeners(tx, list({event.org_id for event in batch}))
    starts = list(_starts(batch, listeners))
    if not starts:
        return
    run_ids = {event.id: run for event, _ in starts if (run := _run_in(event)) is not None}
    causes = await event_runs.causes(tx, list(set(run_ids.values()))) if run_ids else {}
    at = now()
    counts = await event_runs.counts(tx, list({flow.id for _, flow in starts}), at - limits.window)
    organizations = list({event.org_id for event, _ in starts})
    days = Counter(await event_runs.counts_of_organizations(tx, organizations, at - eventmatching.DAY))
    runs = Counter({flow: created for flow, (created, _) in counts.items()})
    skips = Counter({flow: skipped for flow, (_, skipped) in counts.items()})
    rows = []
    for event, flow in starts:
        cause = _own(causes.get(run_ids.get(event.id, event.public_id)), event)
        if cause is not None and cause.flow_id == flow.id:
            continue  # a flow must not start itself
        depth = cause.depth + 1 if cause else 0
        reason = eventmatching.skipped(event.data, depth, runs[flow.id], days[event.org_id], limits)
        (runs if reason is None else skips)[flow.id] += 1
        if reason is None:
            days[event.org_id] += 1
        else:
            SKIPPED.labels(reason).inc()
            if skips[flow.id] > eventmatching.SHOWN_SKIPS:
                continue  # a flood of events adds no rows
        rows.append(
            NewEventRun(
                ids.new(),
                event.org_id,
                flow.id,
                event.public_id,
                event.type,
                depth,
                cause.id if cause else None,
                reason,
            )
        )
    if rows:
        await enqueue(tx, await event_runs.create(tx, rows))


async def enqueue(tx: Tx, runs: Sequence[tuple[UUID, UUID]]) -> None:
    """Enqueue a job for each of these runs (id, organization)."""
    by_org: dict[UUID, list[UUID]] = {}
    for run, org in runs:
        by_org.setdefault(org, []).append(run)
    # Sorted against deadlocks: each organization's jobs are counted under a lock.
    for org in sorted(by_org):
        await jobs.enqueue_all(tx, eventmatching.RUN, org, by_org[org])


def _starts(batch: Sequence[Event], listeners: Sequence[Listener]) -> Iterator[tuple[Event, Listener]]:
    """Yield each event with each flow that it starts."""
    by_org: dict[UUID, list[Listener]] = {}
    for listener in listeners:
        by_org.setdefault(listener.org_id, []).append(listener)
    for event in batch:
        for flow in by_org.get(event.org_id, ()):
            if eventmatching.listens(flow.trigger_events, event.type):
                yield event, flow


def _run_in(event: Event) -> UUID | None:
    """Return the run that an event names as its cause."""
    text = (event.data or {}).get("run_id")
    return ids.parse(Kind.RUN, text) if isinstance(text, str) else None


def _own(cause: Cause | None, event: Event) -> Cause | None:
    return cause if cause is not None and cause.org_id == event.org_id else None
