"""The socket of a realtime or a Live session: authentication, ordered frames in and out, and connection faults."""

import asyncio
import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.conversation import RealtimeConversation
from realtime.errors import Refusal, rejection
from realtime.ids import new_id
from sandbox.loopclock import LoopClock
from sandbox.openai.rest import refused
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.scriptedsession import ScriptedSession
from sandbox.openai.senses import SessionSenses, SpeechSenses
from sandbox.openai.settings import Faults, Settings
from sandbox.openai.stage import StandInStage
from sandbox.openai.truth import AUDIO_FIELDS, SessionTruth

NORMAL, GOING_AWAY, INTERNAL_ERROR = 1000, 1001, 1011
CHUNKS = frozenset({"response.output_audio.delta", "session.output_audio.delta"})


@dataclass(frozen=True, slots=True)
class Hangup:
    code: int
    reason: str = ""


class ServedSession(Protocol):
    """A session of either protocol: pure, on the stage that it was given."""

    def begin(self) -> None: ...
    def handle(self, message: str | bytes) -> None: ...
    def expire(self) -> None: ...
    def close(self) -> None: ...


#: Makes a session of its stage, its end in Unix seconds, and what closes the connection with a code.
Serve = Callable[[StandInStage, int, Callable[[int], None]], ServedSession]


class RealtimeSocket:
    """One connection.  `_send` never waits: a writer task sends from the outbox."""

    def __init__(
        self,
        websocket: WebSocket,
        truth: SessionTruth,
        player: ScriptPlayer,
        senses: SpeechSenses,
        settings: Settings,
        faults: Faults,
        serve: Serve = lambda stage, expires_at, _: ScriptedSession(stage, expires_at),
        *,
        limit_s: float | None = None,
    ) -> None:
        """`limit_s` is the session's longest duration, by default that of the settings."""
        self._websocket = websocket
        self._truth = truth
        self.faults = faults
        self._outbox: asyncio.Queue[str | Hangup] = asyncio.Queue()
        self._events_sent = self._chunks_sent = 0
        self._closing = False
        self._clock = LoopClock()
        self._senses = SessionSenses(senses, player)
        stage = StandInStage.of(
            self._send, RealtimeConversation(), truth, player, self._senses, settings, faults, self._clock, new_id
        )
        self._limit_s = settings.session_limit_s if limit_s is None else limit_s
        self._session = serve(stage, int(time.time() + self._limit_s), self.hang_up)

    async def talk(self) -> None:
        """Run until either side ends the connection."""
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(self._limit_s, self._expire)]
        if self.faults.close_after_ms is not None:
            timers.append(loop.call_later(self.faults.close_after_ms / 1000, self.hang_up, self.faults.close_code))
        self._session.begin()
        writing = asyncio.create_task(self._write())
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closing = True
            for timer in timers:
                timer.cancel()
            self._session.close()
            self._clock.stop()
            await self._senses.close()
            for task in (reading, writing):
                task.cancel()
            results = await asyncio.gather(reading, writing, return_exceptions=True)
            codes = [result.code for result in results if isinstance(result, Hangup)]
            self._truth.close(codes[0] if codes else GOING_AWAY)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def hang_up(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        if not self._closing:
            self._closing = True
            self._outbox.put_nowait(Hangup(code, reason))

    def _expire(self) -> None:
        self._session.expire()
        self.hang_up(GOING_AWAY, "session expired")

    def _send(self, event: dict[str, Any]) -> None:
        silent = self.faults.silent_after_events
        if self._closing or (silent is not None and self._events_sent >= silent):
            return
        if event["type"] in CHUNKS:
            if self._chunks_sent == self.faults.close_after_chunks:
                self.hang_up(self.faults.close_code)
                return
            self._chunks_sent += 1
        self._outbox.put_nowait(msgspec.json.encode(event).decode())
        event = event if event["type"] in AUDIO_FIELDS else copy.deepcopy(event)
        self._truth.note("sent", event, self._clock.now)
        self._events_sent += 1
        if self._events_sent == self.faults.close_after_events:
            self.hang_up(self.faults.close_code)

    async def _write(self) -> Hangup:
        while True:
            message = await self._outbox.get()
            try:
                if isinstance(message, Hangup):
                    await self._websocket.close(message.code, message.reason)
                    return message
                await self._websocket.send_text(message)
            # The client disconnected before the reader noticed.
            except WebSocketDisconnect as disconnect:
                return Hangup(disconnect.code)

    async def _read(self) -> Hangup:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return Hangup(message.get("code") or NORMAL)
            text = message.get("text")
            self._session.handle(text if text is not None else message.get("bytes", b""))


async def admit(
    websocket: WebSocket,
    authorizes: Callable[[str], bool],
    faults: Faults,
    ending: asyncio.Event,
    *,
    names_model: bool = True,
) -> str | None:
    """Accept the connection and return the model's name, or refuse it with an HTTP status and return None.

    A Live session's address names no model.  The delay of `accept_after_ms` ends early once the stand-in is `ending`.
    """
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ending.wait(), faults.accept_after_ms / 1000)
    refusal: Refusal | None = None
    model = websocket.query_params.get("model")
    if not authorizes(websocket.headers.get("authorization", "")):
        refusal = rejection(401)
    elif faults.refuse_status is not None:
        refusal = rejection(faults.refuse_status)
    elif not names_model:
        model = ""
    elif not model:
        refusal = Refusal("You must provide a model parameter.", code="missing_model", param="model")
    if refusal is not None:
        await websocket.send_denial_response(refused(refusal))
        return None
    await websocket.accept()
    return model
