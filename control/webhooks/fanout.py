"""From events to deliveries: one reader behind the transaction horizon, which makes a row for each webhook that wants an event."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from control.webhooks import rules
from hum import ids
from hum.ids import Kind
from storage import webhook_deliveries
from storage.db import Tx
from storage.events import Event
from storage.webhook_deliveries import NewDelivery, SubscriberRow


@dataclass(frozen=True, slots=True)
class Stream:
    """The call or the conversation that an event is about."""

    id: UUID
    is_call: bool


def stream_of(data: Mapping[str, Any]) -> Stream | None:
    """What an event is about, by its data."""
    for name, kind in (("conversation_id", Kind.CONVERSATION), ("call_id", Kind.CALL)):
        text = data.get(name)
        if isinstance(text, str) and (id := ids.parse(kind, text)) is not None:
            return Stream(id, kind is Kind.CALL)
    return None


async def fan_out(tx: Tx, found: Sequence[Event], *, retries: int) -> None:
    """Make the deliveries of these events, in the transaction that moves the reader; each event is numbered in its stream."""
    by_org: dict[UUID, list[SubscriberRow]] = {}
    for row in await webhook_deliveries.subscribers(tx, list({event.org_id for event in found})):
        by_org.setdefault(row.org_id, []).append(row)
    known = [event for event in found if event.org_id in by_org]
    streams = {event.id: stream for event in known if (stream := stream_of(event.data or {})) is not None}
    sequences = await _sequences(tx, known, streams)
    wanted = [(event, row) for event in known for row in by_org[event.org_id] if rules.wants(row.events, event.type)]
    places = await _places(tx, wanted, streams)
    made = []
    for event, row in wanted:
        stream = streams.get(event.id)
        if rules.concerns(row.number_ids, row.flow_ids, places.get(stream.id) if stream else None):
            stream_id = stream.id if stream else None
            made.append(NewDelivery(row.id, event.id, event.type, stream_id, sequences.get(event.id)))
    if made:
        await webhook_deliveries.create(tx, made, retries)


async def _sequences(tx: Tx, known: Sequence[Event], streams: dict[int, Stream]) -> dict[int, int]:
    """The place of each event in its stream: those that no webhook wants are counted too."""
    counts = Counter(streams[event.id].id for event in known if event.id in streams)
    if not counts:
        return {}
    orgs = {streams[event.id].id: event.org_id for event in known if event.id in streams}
    last = await webhook_deliveries.advance(tx, {id: (orgs[id], count) for id, count in counts.items()})
    sequences = dict[int, int]()
    for event in reversed(known):
        if (stream := streams.get(event.id)) is not None:
            sequences[event.id] = last[stream.id]
            last[stream.id] -= 1
    return sequences


async def _places(
    tx: Tx, wanted: Sequence[tuple[Event, SubscriberRow]], streams: dict[int, Stream]
) -> dict[UUID, tuple[UUID | None, UUID | None]]:
    """The number and flow of each stream that is asked for."""
    streams_wanted = {
        streams[event.id] for event, row in wanted if (row.number_ids or row.flow_ids) and event.id in streams
    }
    calls = [each.id for each in streams_wanted if each.is_call]
    return await webhook_deliveries.places(tx, calls, [each.id for each in streams_wanted if not each.is_call])
