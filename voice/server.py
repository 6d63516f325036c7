"""The server that media speaks to: admission, and a session for each connection."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from aiohttp import WSCloseCode, web

from hum import cascades
from hum.cascades import Cascades
from hum.clock import now
from hum.observe.logs import log
from hum.settings import VoiceSettings
from realtime.conversation import RealtimeConversation
from realtime.errors import Refusal, rejection
from realtime.ids import new_id
from realtime.record import SessionRecord
from realtime.stage import Stage
from voice.metrics import REFUSED, SESSIONS
from voice.mind import ChatMind
from voice.ready import ReadyCascade
from voice.senses import CascadeSenses
from voice.session import CascadeRules, CascadeSession
from voice.sessionsocket import EventLoopClock, SessionSocket
from voice.stages import StageRequests, StageUse
from voice.voicing import VoiceDetector

LOG = log(__name__)
#: A larger event of media counts as a fault.
MOST_EVENT_BYTES = 4 << 20
HEARTBEAT_SECONDS = 20.0


class VoiceServer:
    """The sessions of this process."""

    def __init__(
        self, settings: VoiceSettings, file: Cascades, requests: StageRequests, node_keys: Sequence[bytes]
    ) -> None:
        self._settings, self._requests = settings, requests
        self._ready: Mapping[str, ReadyCascade] = {
            name: ReadyCascade(cascade, requests, settings) for name, cascade in file.items()
        }
        self._keys = [b"Bearer " + key for key in node_keys]
        self._sockets: set[SessionSocket] = set()
        self.is_draining = False
        self.drained = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/realtime", self._realtime)]

    @property
    def sessions(self) -> int:
        return len(self._sockets)

    def drain(self) -> None:
        """Take no more sessions; set `drained` once the last one has ended."""
        self.is_draining = True
        if not self._sockets:
            self.drained.set()

    async def close(self) -> None:
        """Stop what goes on beside the sessions."""
        for ready in self._ready.values():
            await ready.close()

    def hang_up(self) -> None:
        """End all sessions: their calls go on in another process."""
        for socket in self._sockets:
            socket.hang_up(WSCloseCode.GOING_AWAY, b"the process ends")

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        model = request.query.get("model", "")
        ready = self._ready.get(cascades.name_of(model) or "")
        if (refusal := self._refusal(request, model, ready)) is not None:
            return web.json_response({"error": refusal.body()}, status=refusal.status)
        assert ready is not None
        websocket = web.WebSocketResponse(max_msg_size=MOST_EVENT_BYTES, heartbeat=HEARTBEAT_SECONDS, compress=False)
        socket = SessionSocket(websocket)
        self._sockets.add(socket)
        SESSIONS.inc()
        try:
            await websocket.prepare(request)
            await self._talk(socket, ready, model)
        finally:
            SESSIONS.dec()
            self._sockets.discard(socket)
            if self.is_draining and not self._sockets:
                self.drained.set()
        return websocket

    def _refusal(self, request: web.Request, model: str, ready: ReadyCascade | None) -> Refusal | None:
        authorization = request.headers.get("Authorization", "").encode()
        if not any(hmac.compare_digest(authorization, key) for key in self._keys):
            REFUSED.labels("key").inc()
            return rejection(401)
        if ready is None:
            REFUSED.labels("unknown").inc()
            return Refusal(
                f"There is no {model[:100] or 'cascade'} in this deployment.",
                code="model_not_found",
                param="model",
                status=404,
            )
        if ready.fault:
            REFUSED.labels("fault").inc()
            return Refusal(f"{model} takes no calls: {ready.fault}.", code="cascade_fault", param="model", status=422)
        if self.is_draining or len(self._sockets) >= self._settings.voice_sessions:
            REFUSED.labels("full").inc()
            return rejection(503)
        return None

    async def _talk(self, socket: SessionSocket, ready: ReadyCascade, model: str) -> None:
        clock, rules = EventLoopClock(), CascadeRules.of(ready.cascade.turn)

        def tell(use: StageUse) -> None:
            # Of type `response.`: media hears that an answer is still being made.
            socket.send({"type": "response.stage_used", **asdict(use)})
            # Media opens the session anew, is refused, and ends the call as its flow says.
            if use.error and ready.fault:
                ready.recover()
                socket.hang_up(WSCloseCode.INTERNAL_ERROR, b"a stage fails for good")

        senses = CascadeSenses(ready.ears, ready.mouth, tell)
        mind = ChatMind(ready.minds, self._requests, tell)
        stage = Stage(
            send=socket.send,
            conversation=RealtimeConversation(),
            truth=SessionRecord(new_id("sess"), model),
            mind=mind,
            senses=senses,
            rules=rules,
            clock=clock,
            new_id=new_id,
        )
        session = CascadeSession(
            stage,
            senses,
            ready.cascade.turn,
            int(now().timestamp() + rules.session_limit_s),
            is_voice=VoiceDetector(),
        )

        def expire() -> None:
            session.expire()
            socket.hang_up(WSCloseCode.GOING_AWAY, b"session expired")

        try:
            await socket.talk(session, expire, rules.session_limit_s)
        finally:
            clock.stop()
            await mind.close()
            await senses.close()
