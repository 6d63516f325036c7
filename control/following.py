"""What changes in an organization, as it happens, for those who follow.

One look several times a second tells all listeners of a process in whose organization something is new; changes are read from a
store that is kept for a while, in the order of commits, so that none is missed when a client loses its connection.  A change says of what, and
the client gets that as it is now: of ten changes that came while it was away, it gets the last.

A client's place is a transaction.  An event carries it as its id if all changes up to there were told; one that stands in the
middle of a transaction carries none, and is told again to whoever goes on from an older place.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from control.watch import Watch
from hum.clock import monotonic_ms
from storage import inbox_changes
from storage.db import Db, Tx
from storage.inbox_changes import Change

BATCH = 200
#: After every change of a transaction.
_WHOLE = (1 << 63) - 1
#: The member of each stream's oneof that says that lists are to be loaded.
_RESYNC: Mapping[str, Any] = {"resync": {}}

Event = TypeVar("Event", bound=Message)


@dataclass(frozen=True, slots=True)
class Shown:
    """How the things of one kind are told.

    `some`: those of these that there are, as messages of the contract.  `made` and `changed`: the members of the stream's oneof for a
    new one, and for any other.  `gone`: makes the members for one that is no more; None if that is not told.
    """

    some: Callable[[Tx, Sequence[UUID]], Awaitable[Mapping[UUID, Any]]]
    made: str
    changed: str
    gone: Callable[[UUID], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Rests:
    """Seconds that a stream waits without news until it looks again, and until an older transaction may be over."""

    idle_seconds: float
    look_seconds: float


@dataclass(frozen=True, slots=True)
class Source:
    """Where changes are read, and until when."""

    db: Db
    watch: Watch
    rests: Rests
    stopping: asyncio.Event


class Following(Generic[Event]):
    """One listener of an organization: `event` is the stream's response, whose oneof has a member `resync`; `kinds`: of what this
    listener is told, and how.
    """

    def __init__(self, source: Source, org: UUID, event: type[Event], kinds: Mapping[str, Shown]) -> None:
        self._source, self._org, self._event, self._kinds = source, org, event, kinds
        self._wake = asyncio.Event()

    async def events(self, last: int) -> AsyncGenerator[Event, None]:
        """Yield what changed after the transaction `last` (0: from now on), until this process is asked to stop."""
        rests = self._source.rests
        unfollow = self._source.watch.follow(self._org, self._wake)
        stopping = asyncio.create_task(self._wake_on_stop())
        try:
            place = last, _WHOLE
            while not self._source.stopping.is_set():
                self._wake.clear()  # before looking, or a wake-up in between is lost
                looked_ms = monotonic_ms()
                async with self._source.db.tenant(self._org) as tx:
                    found, place, rest_seconds = await self._look(tx, place)
                for event in found:
                    yield event
                if rest_seconds:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), rest_seconds)
                    # A campaign wakes all listeners with each of its texts: they look together for those of a while.
                    await asyncio.sleep(rests.look_seconds - (monotonic_ms() - looked_ms) / 1000)
        finally:
            stopping.cancel()
            unfollow()

    async def _look(self, tx: Tx, place: tuple[int, int]) -> tuple[Sequence[Event], tuple[int, int], float]:
        """What is new, the place after it, and how long to rest then."""
        horizon, rests = await inbox_changes.horizon(tx), self._source.rests
        if not max(horizon.floor, 1) <= place[0] < horizon.below:
            known = horizon.below - 1
            return [self._event(seq=known, **_RESYNC)], (known, _WHOLE), 0
        changes = await inbox_changes.after(tx, place, horizon.below, BATCH)
        if len(changes) == BATCH:
            return await self._told(tx, changes, is_all=False), (changes[-1].xid, changes[-1].id), 0
        more = await inbox_changes.is_more(tx, horizon.below)
        rest = rests.look_seconds if more else rests.idle_seconds
        return await self._told(tx, changes, is_all=True), (horizon.below - 1, _WHOLE), rest

    async def _told(self, tx: Tx, changes: Sequence[Change], *, is_all: bool) -> Sequence[Event]:
        """The things as they are now.  `is_all`: no further change of the last transaction follows."""
        mine = latest(each for each in changes if each.kind in self._kinds)
        there = dict[str, Mapping[UUID, Any]]()
        for kind in {each.kind for each in mine}:
            there[kind] = await self._kinds[kind].some(tx, [each.thing_id for each in mine if each.kind == kind])
        members = list[tuple[int, Mapping[str, Any]]]()
        for each in mine:
            shown = self._kinds[each.kind]
            if (thing := there[each.kind].get(each.thing_id)) is not None:
                members.append((each.xid, {shown.made if each.made else shown.changed: thing}))
            elif shown.gone is not None:
                members.append((each.xid, shown.gone(each.thing_id)))
        ends = [xid != after for (xid, _), (after, _) in pairwise(members)]
        ends += [is_all or xid < changes[-1].xid for xid, _ in members[-1:]]
        return [
            self._event(seq=xid if ends_here else 0, **member)
            for (xid, member), ends_here in zip(members, ends, strict=True)
        ]

    async def _wake_on_stop(self) -> None:
        await self._source.stopping.wait()
        self._wake.set()


def latest(changes: Iterable[Change]) -> Sequence[Change]:
    """The last change of each thing, in the order of these; new is what is new in any of its changes."""
    found = dict[UUID, Change]()
    for each in changes:
        before = found.pop(each.thing_id, None)
        found[each.thing_id] = replace(each, made=each.made or (before is not None and before.made))
    return list(found.values())
