"""Listening to a live call across media processes and streams.

The media process that has the call opens a stream of sound to this process's own address: the bus carries hints, and
the sound of a listener would be a thousand times their volume.  While no media process has the call, the listener gets
silence.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from uuid import UUID

from control.bus import Bus
from control.calls.listenerstreams import ListenerStream, ListenerStreams
from control.calls.timeline import Timeline
from control.feature import Deps, OwnAddress
from control.livecall.callstatus import LIVE
from control.livecall.channels import CHANGED
from control.livecall.commands import DONE, FULL, Commands
from hum import ids, wave
from hum.clock import monotonic_ms
from hum.contract.errors import RateLimited, Unavailable
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2
from storage import call_records, calls
from storage.calls import CallStateRow
from storage.db import LIMITS, Db

#: Seconds without sound after which a listener is sent silence: between a call's streams, or before the first.
LISTEN_QUIET_SECONDS = 1.0

LOG = log(__name__)
UNREACHABLE = "The process that has the call does not reach the one that serves you; an operator finds why in its log."
LISTENER_LIMIT = "Too many people listen to this call, or to calls of your organization, at the moment."


@dataclass(slots=True)
class _Attached:
    """The stream of sound that is open, if any."""

    stack: ExitStack = field(default_factory=ExitStack)
    sound: ListenerStream | None = None
    offset_ms: int = 0
    #: Whether the call has changed since it was last looked at: another agent may have it, whose calls the listener doesn't see.
    has_changed: bool = False


class Listening:
    """The sound of calls, for listeners."""

    def __init__(self, deps: Deps, settings: CallsSettings, listeners: ListenerStreams) -> None:
        self._db: Db = deps.db
        self._bus: Bus = deps.bus
        self._own_address: OwnAddress = deps.own_address
        self._stopping, self._settings, self._listeners = deps.stopping, settings, listeners
        self._commands = Commands(deps.db, deps.bus, settings)

    async def sound(self, org: UUID, id: UUID) -> AsyncGenerator[bytes, None]:
        """Yield an endless WAV in pieces, until the call is over or this process is asked to stop.

        Raises Unavailable and RateLimited, before the first piece if the call has a media process.
        """
        wake, attached = asyncio.Event(), _Attached()

        def on_change(call: UUID | None) -> None:
            if call in {None, id}:
                attached.has_changed = True
                wake.set()

        unsubscribe = self._bus.subscribe(CHANGED, on_change)
        ending = asyncio.create_task(self._wake_on_stop(wake))
        try:
            await self._attach(attached, org, id, wake)
            yield wave.header(wave.ENDLESS)
            pieces = self._pieces(attached, org, id, wake)
            async for pcm in pieces:
                yield pcm
        finally:
            attached.stack.close()
            ending.cancel()
            unsubscribe()

    async def _pieces(
        self, attached: _Attached, org: UUID, id: UUID, wake: asyncio.Event
    ) -> AsyncGenerator[bytes, None]:
        timeline, sent_ms = Timeline(), monotonic_ms()
        while not self._stopping.is_set():
            wake.clear()
            if attached.has_changed:
                attached.has_changed = False
                if not await self._is_seen(org, id):
                    return
            if attached.sound is not None and (piece := attached.sound.pop()) is not None:
                if pcm := timeline.place(piece.at_ms + attached.offset_ms, piece.pcm):
                    yield pcm
                sent_ms = monotonic_ms()
                continue
            is_attached = attached.sound is not None and not attached.sound.over
            if not is_attached and not await self._attach(attached, org, id, wake):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), LISTEN_QUIET_SECONDS)
            quiet_ms = int(monotonic_ms() - sent_ms)
            if quiet_ms >= LISTEN_QUIET_SECONDS * 1000:
                yield timeline.silence(quiet_ms)
                sent_ms += quiet_ms

    async def _is_seen(self, org: UUID, id: UUID) -> bool:
        if LIMITS.get() is None:
            return True
        async with self._db.tenant(org) as tx:
            return bool(await call_records.get_many(tx, [id]))

    async def _attach(self, attached: _Attached, org: UUID, id: UUID, wake: asyncio.Event) -> bool:
        """Have the media process that has the call open a stream, if one does; return whether the call is live."""
        attached.stack.close()
        attached.sound = None
        async with self._db.tenant(org) as tx:
            state = await calls.get(tx, id)
            stream = await calls.stream(tx, id, state.streams_opened)
        if state.status not in LIVE:
            return False
        if not await self._commands.reaches(state):
            return True
        sound = attached.stack.enter_context(self._listeners.open())
        sound.wake = wake
        if await self._open(state, sound):
            attached.sound, attached.offset_ms = sound, stream.offset_ms if stream else 0
        return True

    async def _open(self, state: CallStateRow, sound: ListenerStream) -> bool:
        """Have the media process open the stream; return False if it no longer has the call.

        Raises RateLimited, and Unavailable if the media process does not reach this process.
        """
        assert state.node is not None, "a process has the call"
        listen = runtime_pb2.OpenEar(address=self._own_address.address, token=sound.token)
        command = runtime_pb2.CallCommand(call_id=ids.show(Kind.CALL, state.id), listen=listen)
        outcome = await self._commands.carry_out(state.node, command)
        if outcome == FULL:
            raise RateLimited(LISTENER_LIMIT)
        if outcome != DONE:
            return False
        try:
            async with asyncio.timeout(self._settings.command_seconds):
                await sound.connected.wait()
        except TimeoutError:
            LOG.warning("a media process does not reach this process: check HUM_CONTROL_OWN_ADDRESS", node=state.node)
            raise Unavailable(UNREACHABLE) from None
        return True

    async def _wake_on_stop(self, wake: asyncio.Event) -> None:
        await self._stopping.wait()
        wake.set()
