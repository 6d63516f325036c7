"""Control API of the stand-in, which the real API does not have: recorded truth, script and faults.

    GET  /                           identifies this as a stand-in
    GET  /sandbox/sessions           {sessions: [...]}, oldest first; ?audio=1 with the audio as base64
    GET  /sandbox/sessions/{id}
    POST /sandbox/sessions/{id}/drop {code?} → 204: the connection breaks (1011)
    PUT  /sandbox/script             a script → 204; running sessions keep theirs
    PUT  /sandbox/faults             faults → 204; for connections and requests from now on
An error is {"error": sentence}.  There is no authentication: serve it on loopback only.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.openai.realtimesocket import INTERNAL_ERROR
from sandbox.openai.script import Script
from sandbox.openai.settings import Faults
from sandbox.openai.truth import SessionTruth

ABOUT = "A stand-in for OpenAI's API: it answers from a script; there is no model."


class Drop(msgspec.Struct, forbid_unknown_fields=True):
    code: int = INTERNAL_ERROR


class ControlledModel(Protocol):
    """The part of the model that the control API reads and changes."""

    faults: Faults

    @property
    def has_speech(self) -> bool: ...
    @property
    def sessions(self) -> Sequence[SessionTruth]: ...
    def play(self, script: Script) -> None: ...
    def drop(self, session_id: str, code: int) -> None: ...


class ModelSandboxApi:
    def __init__(self, model: ControlledModel) -> None:
        self._model = model

    def routes(self) -> list[Route]:
        return [
            Route("/", self._about),
            Route("/sandbox/sessions", self._list_sessions),
            Route("/sandbox/sessions/{id}", self._fetch_session),
            Route("/sandbox/sessions/{id}/drop", self._drop, methods=["POST"]),
            Route("/sandbox/script", self._set_script, methods=["PUT"]),
            Route("/sandbox/faults", self._set_faults, methods=["PUT"]),
        ]

    async def _about(self, _: Request) -> Response:
        return JSONResponse({"sandbox": "openai", "about": ABOUT, "speech": self._model.has_speech})

    async def _list_sessions(self, request: Request) -> Response:
        audio = request.query_params.get("audio") == "1"
        return _json({"sessions": [session.as_json(audio=audio) for session in self._model.sessions]})

    async def _fetch_session(self, request: Request) -> Response:
        audio = request.query_params.get("audio") == "1"
        for session in self._model.sessions:
            if session.id == request.path_params["id"]:
                return _json(session.as_json(audio=audio))
        return _refusal(404, f"no session {request.path_params['id']}")

    async def _drop(self, request: Request) -> Response:
        try:
            drop = msgspec.json.decode(await request.body() or b"{}", type=Drop)
            self._model.drop(request.path_params["id"], drop.code)
        except msgspec.DecodeError as error:
            return _refusal(400, str(error))
        except LookupError as error:
            return _refusal(404, str(error))
        return Response(status_code=204)

    async def _set_script(self, request: Request) -> Response:
        try:
            self._model.play(msgspec.json.decode(await request.body(), type=Script))
        except msgspec.DecodeError as error:
            return _refusal(400, str(error))
        return Response(status_code=204)

    async def _set_faults(self, request: Request) -> Response:
        try:
            self._model.faults = msgspec.json.decode(await request.body(), type=Faults)
        except msgspec.DecodeError as error:
            return _refusal(400, str(error))
        return Response(status_code=204)


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
