"""The model as a server.

async with Model.serve(api_key="sk-test", script=Script.of({...})) as model:
    client = openai.AsyncOpenAI(base_url=model.url, api_key="sk-test")
    ...
    await model.sessions[0].until_sent("response.done")
"""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from realtime.ids import new_id
from sandbox.openai.live.session import LiveSession
from sandbox.openai.live.truth import LiveTruth
from sandbox.openai.realtimesocket import GOING_AWAY, INTERNAL_ERROR, RealtimeSocket, admit
from sandbox.openai.rest import ModelRest, Transcription
from sandbox.openai.sandboxapi import ModelSandboxApi
from sandbox.openai.script import Script, ScriptPlayer
from sandbox.openai.senses import SpeechSenses
from sandbox.openai.settings import Faults, Settings
from sandbox.openai.stage import StandInStage
from sandbox.openai.truth import SessionTruth
from sandbox.serving import serving
from sandbox.speech import Speech


class Model:
    """A running stand-in for OpenAI; a client uses `url` instead of https://api.openai.com/v1."""

    def __init__(self, api_key: str, script: Script, speech: Speech | None, settings: Settings) -> None:
        self.url = ""
        self.sessions: list[SessionTruth] = []
        """Records of all realtime sessions, oldest first."""
        self.transcriptions: list[Transcription] = []
        """Transcribed files, oldest first."""
        self.chats: list[dict[str, Any]] = []
        """The bodies of requests to /v1/chat/completions, oldest first."""
        self.charged: list[tuple[str, dict[str, Any]]] = []
        """Model and usage of each response of the REST API; the usage of realtime sessions is in their records."""
        self.settings = self._settings = settings
        self.faults = Faults()
        self.has_speech = speech is not None
        self._api_key = api_key
        self._senses = SpeechSenses(speech)
        self._lines: dict[str, RealtimeSocket] = {}
        self._ending = asyncio.Event()
        self.play(script)

    @classmethod
    @contextlib.asynccontextmanager
    async def serve(
        cls,
        *,
        api_key: str,
        listen: str = "127.0.0.1:0",
        script: Script | None = None,
        speech: Speech | None = None,
        settings: Settings | None = None,
    ) -> AsyncIterator["Model"]:
        """Serve until the block ends.  The script's settings and faults, if any, take precedence.

        Without `speech`, the script sets what callers say, and words are spoken as tones.
        """
        model = cls(api_key, script or Script(), speech, settings or Settings())
        rest = ModelRest(
            model.authorizes,
            model.take_rest_fault,
            lambda: model.player,
            model._senses,
            model.transcriptions,
            model.charged,
            lambda: (model.settings.stages, model.faults.stages),
            model.chats,
        )
        app = Starlette(
            routes=[
                *rest.routes(),
                *ModelSandboxApi(model).routes(),
                WebSocketRoute("/v1/realtime", model.talk),
                WebSocketRoute("/v1/live/sessions", model.talk_live),
            ]
        )
        async with serving(app, listen, ws="websockets-sansio") as (host, port):
            model.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
            try:
                yield model
            finally:
                model._ending.set()
                for line in list(model._lines.values()):
                    line.hang_up(GOING_AWAY, "the stand-in shuts down")

    def play(self, script: Script) -> None:
        """Switch to another script, from its beginning; running sessions keep theirs."""
        self._script = script
        self.player = ScriptPlayer(script)
        self.settings = script.settings or self._settings
        self.faults = script.faults or Faults()

    def drop(self, session_id: str, code: int = INTERNAL_ERROR) -> None:
        """Break a session's connection.  Raises LookupError if there is none."""
        if session_id not in self._lines:
            raise LookupError(f"no open session {session_id}")
        self._lines[session_id].hang_up(code)

    def authorizes(self, authorization: str) -> bool:
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._api_key}".encode())

    async def talk(self, websocket: WebSocket) -> None:
        faults = self._take_faults()
        name = await admit(websocket, self.authorizes, faults, self._ending)
        if name is None:
            return
        truth = SessionTruth(new_id("sess"), name)
        await self._talk(truth, RealtimeSocket(websocket, truth, self._player(), self._senses, self.settings, faults))

    async def talk_live(self, websocket: WebSocket) -> None:
        faults = self._take_faults()
        if await admit(websocket, self.authorizes, faults, self._ending, names_model=False) is None:
            return
        truth, settings = LiveTruth(new_id("live"), ""), self.settings

        def serve(stage: StandInStage, expires_at: int, hang_up: Callable[[int], None]) -> LiveSession:
            return LiveSession(stage, truth.live, expires_at, hang_up)

        limit_s = settings.live.session_limit_s
        line = RealtimeSocket(websocket, truth, self._player(), self._senses, settings, faults, serve, limit_s=limit_s)
        await self._talk(truth, line)

    def _player(self) -> ScriptPlayer:
        return self.player if self._script.shared else ScriptPlayer(self._script)

    async def _talk(self, truth: SessionTruth, line: RealtimeSocket) -> None:
        self.sessions.append(truth)
        self._lines[truth.id] = line
        try:
            await line.talk()
        finally:
            del self._lines[truth.id]

    def take_rest_fault(self) -> int | None:
        """Return the status with which to refuse this request, if any, and count it against `rest_times`."""
        faults = self.faults
        if faults.rest_status is None or faults.rest_times == 0:
            return None
        if faults.rest_times is not None:
            faults.rest_times -= 1
        return faults.rest_status

    def _take_faults(self) -> Faults:
        if self.faults.times == 0:
            return Faults()
        if self.faults.times is not None:
            self.faults.times -= 1
        return self.faults
