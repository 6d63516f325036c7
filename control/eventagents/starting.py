"""From events to runs: one reader behind the transaction horizon, which makes a run for each flow that an event starts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from prometheus_client import Counter as Metric

from control import jobs
from control.eventagents import rules
from control.eventagents.rules import Limits
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import event_runs
from storage.db import Tx
from storage.event_runs import Cause, Listener, NewRun
from storage.events import Event

READER = "event_agents"
SKIPPED = Metric(
    "hum_event_runs_skipped_total", "Events that a flow's agent did not deal with, by the reason", ["reason"]
)


async def start(tx: Tx, found: Sequence[Event], *, limits: Limits) -> None:
    """Make the runs of these events, in the transaction that moves the reader."""
    listeners = await event_runs.listening(tx, list({event.org_id for event in found}))
    wanted = list(_wanted(found, listeners))
    if not wanted:
        return
    named = {event.id: run for event, _ in wanted if (run := _run_in(event)) is not None}
    causes = await event_runs.causes(tx, list(set(named.values()))) if named else {}
    counts = await event_runs.counts(tx, list({flow.id for _, flow in wanted}), now() - limits.window)
    runs = Counter({flow: made for flow, (made, _) in counts.items()})
    skips = Counter({flow: skipped for flow, (_, skipped) in counts.items()})
    made = []
    for event, flow in wanted:
        cause = _own(causes.get(named.get(event.id, event.public_id)), event)
        if cause is not None and cause.flow_id == flow.id:
            continue  # it would start itself
        depth = cause.depth + 1 if cause else 0
        reason = rules.skipped(depth, runs[flow.id], limits)
        (runs if reason is None else skips)[flow.id] += 1
        if reason is not None:
            SKIPPED.labels(reason).inc()
            if skips[flow.id] > rules.SHOWN_SKIPS:
                continue  # a flood of events is no flood of rows
        made.append(
            NewRun(
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
    if made:
        await enqueue(tx, await event_runs.create(tx, made))


async def enqueue(tx: Tx, runs: Sequence[tuple[UUID, UUID]]) -> None:
    """A job for each of these runs (id, organization)."""
    by_org: dict[UUID, list[UUID]] = {}
    for run, org in runs:
        by_org.setdefault(org, []).append(run)
    for org in sorted(by_org):  # in one order, for each organization's jobs are counted under a lock
        await jobs.enqueue_all(tx, rules.RUN, org, by_org[org])


def _wanted(found: Sequence[Event], listeners: Sequence[Listener]) -> Iterator[tuple[Event, Listener]]:
    by_org: dict[UUID, list[Listener]] = {}
    for each in listeners:
        by_org.setdefault(each.org_id, []).append(each)
    for event in found:
        for flow in by_org.get(event.org_id, ()):
            if rules.listens(flow.trigger_events, event.type):
                yield event, flow


def _run_in(event: Event) -> UUID | None:
    """The run that an event names as what it comes from."""
    named = (event.data or {}).get("run_id")
    return ids.parse(Kind.RUN, named) if isinstance(named, str) else None


def _own(cause: Cause | None, event: Event) -> Cause | None:
    return cause if cause is not None and cause.org_id == event.org_id else None
