"""The fan-out of events: a reader behind the transaction horizon creates a delivery per event and subscribed webhook."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from control.webhooks import matching
from hum import ids
from hum.ids import Kind
from storage import webhook_deliveries
from storage.db import Tx
from storage.events import Event
from storage.webhook_deliveries import NewDelivery, SubscriberRow


@dataclass(frozen=True, slots=True)
class EventStream:
    """The stream of an event: its call or conversation."""

    id: UUID
    is_call: bool


def stream_of(data: Mapping[str, Any]) -> EventStream | None:
    """Return the stream that an event's data names, or None."""
    for name, kind in (("conversation_id", Kind.CONVERSATION), ("call_id", Kind.CALL)):
        text = data.get(name)
        if isinstance(text, str) and (id := ids.parse(kind, text)) is not None:
            return EventStream(id, kind is Kind.CALL)
    return None


async def fan_out(tx: Tx, batch: Sequence[Event], *, retries: int) -> None:
    """Create the deliveries of events, numbered per stream, in the transaction that moves the reader."""
    by_org: dict[UUID, list[SubscriberRow]] = {}
    for row in await webhook_deliveries.subscribers(tx, list({event.org_id for event in batch})):
        by_org.setdefault(row.org_id, []).append(row)
    subscribed = [event for event in batch if event.org_id in by_org]
    streams = {event.id: stream for event in subscribed if (stream := stream_of(event.data or {})) is not None}
    sequences = await _sequences(tx, subscribed, streams)
    matches = [
        (event, row) for event in subscribed for row in by_org[event.org_id] if matching.wants(row.events, event.type)
    ]
    places = await _places(tx, matches, streams)
    deliveries = []
    for event, row in matches:
        stream = streams.get(event.id)
        if matching.concerns(row.number_ids, row.flow_ids, places.get(stream.id) if stream else None):
            stream_id = stream.id if stream else None
            deliveries.append(NewDelivery(row.id, event.id, event.type, stream_id, sequences.get(event.id)))
    if deliveries:
        await webhook_deliveries.create(tx, deliveries, retries)


async def _sequences(tx: Tx, batch: Sequence[Event], streams: dict[int, EventStream]) -> dict[int, int]:
    """Return the sequence number of each event in its stream; events that no webhook matches count too."""
    counts = Counter(streams[event.id].id for event in batch if event.id in streams)
    if not counts:
        return {}
    orgs = {streams[event.id].id: event.org_id for event in batch if event.id in streams}
    last = await webhook_deliveries.reserve_sequences(tx, {id: (orgs[id], count) for id, count in counts.items()})
    sequences = dict[int, int]()
    for event in reversed(batch):
        if (stream := streams.get(event.id)) is not None:
            sequences[event.id] = last[stream.id]
            last[stream.id] -= 1
    return sequences


async def _places(
    tx: Tx, matches: Sequence[tuple[Event, SubscriberRow]], streams: dict[int, EventStream]
) -> dict[UUID, tuple[UUID | None, UUID | None]]:
    """Return the number and flow of each stream that a webhook filters by them."""
    filtered = {streams[event.id] for event, row in matches if (row.number_ids or row.flow_ids) and event.id in streams}
    calls = [stream.id for stream in filtered if stream.is_call]
    return await webhook_deliveries.numbers_and_flows(
        tx, calls, [stream.id for stream in filtered if not stream.is_call]
    )
