"""Streams of an organization's changes as they happen.

A query several times a second wakes the listeners of the organizations that have changes.  Changes are read in the
order of commits from a table that retains them for a while, so that a client that loses its connection misses none.  A
change names a resource, and the client gets the resource's current state: of ten changes while it was disconnected, it
gets the last.

A client's position is a transaction.  An event has the transaction as its id if all changes up to it were sent.  An
event in the middle of a transaction has no id, and is sent again to a client that resumes from an earlier position.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from control.changepoller import ChangePoller
from hum.clock import monotonic_ms
from storage import inbox_changes
from storage.db import Db, Tx
from storage.inbox_changes import InboxChange

BATCH = 200
#: Greater than the id of every change, for a position after a whole transaction.
_END_OF_TRANSACTION = (1 << 63) - 1
#: The member of each stream's oneof with which the client reloads its lists.
_RESYNC: Mapping[str, Any] = {"resync": {}}

Event = TypeVar("Event", bound=Message)


@dataclass(frozen=True, slots=True)
class Presentation:
    """The presentation of a kind of resource in a stream.

    `find`: returns the existing ones of these resources, as messages of the contract.  `created` and `changed`: the
    members of the stream's oneof for a new resource and for any other.  `deleted`: returns the members for a deleted one;
    None to send nothing.
    """

    find: Callable[[Tx, Sequence[UUID]], Awaitable[Mapping[UUID, Any]]]
    created: str
    changed: str
    deleted: Callable[[UUID], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """Seconds until a stream reads again: without changes, and while an older transaction may be open."""

    idle_seconds: float
    poll_seconds: float


@dataclass(frozen=True, slots=True)
class StreamDependencies:
    """The dependencies of a stream of changes."""

    db: Db
    poller: ChangePoller
    intervals: PollIntervals
    stopping: asyncio.Event


class ChangeStream(Generic[Event]):
    """The stream of an organization's changes to one client.

    `event`: the stream's response, which has a oneof with a member `resync`.  `kinds`: the kinds of resources that this
    client gets, and their presentation.
    """

    def __init__(
        self, dependencies: StreamDependencies, org: UUID, event: type[Event], kinds: Mapping[str, Presentation]
    ) -> None:
        self._dependencies, self._org, self._event, self._kinds = dependencies, org, event, kinds
        self._wake = asyncio.Event()

    async def events(self, last: int) -> AsyncGenerator[Event, None]:
        """Yield the changes after the transaction `last` (0: from now on), until this process is asked to stop."""
        intervals = self._dependencies.intervals
        unsubscribe = self._dependencies.poller.subscribe(self._org, self._wake)
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            position = last, _END_OF_TRANSACTION
            while not self._dependencies.stopping.is_set():
                # Before reading, so that no wake-up in between is lost.
                self._wake.clear()
                read_ms = monotonic_ms()
                async with self._dependencies.db.tenant(self._org) as tx:
                    events, position, wait_seconds = await self._read(tx, position)
                for event in events:
                    yield event
                if wait_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), wait_seconds)
                    # A campaign wakes all listeners with each of its texts: read those of a while together.
                    await asyncio.sleep(intervals.poll_seconds - (monotonic_ms() - read_ms) / 1000)
        finally:
            stopping.cancel()
            unsubscribe()

    async def _read(self, tx: Tx, position: tuple[int, int]) -> tuple[Sequence[Event], tuple[int, int], float]:
        """Return the new events, the position after them, and the seconds until the next read."""
        horizon, intervals = await inbox_changes.horizon(tx), self._dependencies.intervals
        if not max(horizon.floor, 1) <= position[0] < horizon.below:
            last_xid = horizon.below - 1
            return [self._event(seq=last_xid, **_RESYNC)], (last_xid, _END_OF_TRANSACTION), 0
        changes = await inbox_changes.after(tx, position, horizon.below, BATCH)
        if len(changes) == BATCH:
            return await self._present(tx, changes, is_all=False), (changes[-1].xid, changes[-1].id), 0
        more = await inbox_changes.has_more(tx, horizon.below)
        wait_seconds = intervals.poll_seconds if more else intervals.idle_seconds
        return await self._present(tx, changes, is_all=True), (horizon.below - 1, _END_OF_TRANSACTION), wait_seconds

    async def _present(self, tx: Tx, changes: Sequence[InboxChange], *, is_all: bool) -> Sequence[Event]:
        """Return events with the current state of the changed resources.

        `is_all`: no further change of the last transaction follows.
        """
        latest_changes = latest(change for change in changes if change.kind in self._kinds)
        current = dict[str, Mapping[UUID, Any]]()
        for kind in {change.kind for change in latest_changes}:
            current[kind] = await self._kinds[kind].find(
                tx, [change.thing_id for change in latest_changes if change.kind == kind]
            )
        members = list[tuple[int, Mapping[str, Any]]]()
        for change in latest_changes:
            presentation = self._kinds[change.kind]
            if (resource := current[change.kind].get(change.thing_id)) is not None:
                members.append((change.xid, {presentation.created if change.made else presentation.changed: resource}))
            elif presentation.deleted is not None:
                members.append((change.xid, presentation.deleted(change.thing_id)))
        ends = [xid != after for (xid, _), (after, _) in pairwise(members)]
        ends += [is_all or xid < changes[-1].xid for xid, _ in members[-1:]]
        return [
            self._event(seq=xid if ends_here else 0, **member)
            for (xid, member), ends_here in zip(members, ends, strict=True)
        ]

    async def _wake_on_stop(self) -> None:
        await self._dependencies.stopping.wait()
        self._wake.set()


def latest(changes: Iterable[InboxChange]) -> Sequence[InboxChange]:
    """Return the last change of each resource, in order; one that was made in any of its changes counts as new."""
    last = dict[UUID, InboxChange]()
    for change in changes:
        before = last.pop(change.thing_id, None)
        last[change.thing_id] = replace(change, made=change.made or (before is not None and before.made))
    return list(last.values())
