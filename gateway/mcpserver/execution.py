"""Carries out an operation as REST would: its arguments become a request that goes through the same transcoding.

The request is made, not sent: it reaches the operation's own endpoint, never a router, so no argument can lead it to another path.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway import credentials, errors, transcode
from gateway.mcpserver.catalogue import JSON, READABLE, Catalogue, Operation
from hum.errors import FieldError
from hum.telemetry import log

LOG = log(__name__)
CARRIED_OUT = Counter("hum_mcp_operations", "Operations that agents carried out at /mcp", ["operation", "status"])
#: What any credential may ask; control's answer tells whether it is valid.
WHO_AM_I: Final = "getMe"
#: Headers of an answer that an agent needs.
KEPT_HEADERS: Final = ("retry-after", "idempotent-replayed")
SENT_HEADERS: Final = (b"authorization",)


class Execution:
    """The operations with their endpoints, and how much of an answer an agent gets."""

    def __init__(
        self,
        catalogue: Catalogue,
        endpoints: transcode.Endpoints,
        most_bytes: int,
        public_url: str,
    ) -> None:
        self._endpoints = {each.id: endpoints[each.binding.path, each.binding.verb] for each in catalogue}
        self._catalogue, self._most_bytes, self._public_url = catalogue, most_bytes, public_url

    async def refusal(self, request: Request) -> Response | None:
        """Control's answer to a credential that it does not accept, or None.  Counts as a request of the credential."""
        operation = self._catalogue.get(WHO_AM_I)
        assert operation is not None, "the contract has it"
        answer = await self._endpoints[operation.id](_request(operation, request, {}, {}, {}, b""))
        return answer if answer.status_code >= errors.BAD else None

    async def run(self, operation: Operation, arguments: Mapping[str, Any], request: Request) -> Response:
        """REST's answer."""
        problems = list[FieldError]()
        made = _made(operation, arguments, request, problems)
        if problems:
            return errors.bad_fields(problems, credentials.request_id(request))
        answer = await self._endpoints[operation.id](made)
        CARRIED_OUT.labels(operation.id, answer.status_code).inc()
        LOG.info("mcp", operation=operation.id, status=answer.status_code, request_id=credentials.request_id(request))
        return answer

    def url(self, operation: Operation, arguments: Mapping[str, Any]) -> str:
        """Where the operation is over HTTP, with what the arguments tell of its path."""
        path = operation.binding.path
        for name in operation.binding.path_fields:
            if isinstance(value := arguments.get(name), str) and value:
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return self._public_url + path

    async def as_text(self, answer: Response) -> bytes:
        """An answer as an agent reads it, cut to `most_bytes`."""
        result: dict[str, Any] = {"status": answer.status_code}
        if headers := {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}:
            result["headers"] = headers
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        if isinstance(answer, StreamingResponse) and not READABLE.fullmatch(media_type):
            await _close(answer)
            return msgspec.json.encode(
                {**result, "media_type": media_type, "note": "A file that is no text; fetch it over HTTP."}
            )
        body, is_whole = await self._body(answer)
        if not body:
            return msgspec.json.encode(result)
        if not is_whole:
            result["truncated"] = (
                f"These are the first {len(body)} bytes. Ask for less, for example by a smaller `limit`, or fetch it over HTTP."
            )
        if is_whole and media_type == JSON:
            return msgspec.json.encode({**result, "body": msgspec.Raw(body)})
        return msgspec.json.encode({**result, "media_type": media_type, "text": body.decode(errors="replace")})

    async def _body(self, answer: Response) -> tuple[bytes, bool]:
        """The body up to `most_bytes`, and whether that is all.  Of a file no more is read than that."""
        if not isinstance(answer, StreamingResponse):
            whole = bytes(answer.body)
            return whole[: self._most_bytes], len(whole) <= self._most_bytes
        body = bytearray()
        try:
            async for part in answer.body_iterator:
                body += part if isinstance(part, bytes) else str(part).encode()
                if len(body) > self._most_bytes:
                    return bytes(body[: self._most_bytes]), False
        except errors.Cut:
            return bytes(body), False
        finally:
            await _close(answer)
        return bytes(body), True


async def _close(answer: StreamingResponse) -> None:
    """End a file that is not read further, and with it the call to control."""
    if (close := getattr(answer.body_iterator, "aclose", None)) is not None:
        await close()


def _made(operation: Operation, arguments: Mapping[str, Any], outer: Request, problems: list[FieldError]) -> Request:
    """The request that these arguments are; problems are named by the arguments."""
    places = operation.names_of
    # What is no parameter is a member of the body or, where there is none, of the query: REST says what is wrong with it.
    elsewhere = "query" if operation.binding.body_type is None else "body"
    found: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}}
    for name, value in arguments.items():
        found[places.get(name, elsewhere)][name] = value
    named = {name: found["path"].get(name) for name in operation.binding.path_fields}
    problems += [
        FieldError(name, "must be a text" if value else "is required")
        for name, value in named.items()
        if not isinstance(value, str) or not value
    ]
    query = {name: _query_texts(name, value, problems) for name, value in found["query"].items() if value is not None}
    for name, value in found["header"].items():
        if not isinstance(value, str) or re.fullmatch(credentials.IDEMPOTENCY_KEY, value) is None:
            problems.append(FieldError(name, "must be 1 to 255 printable ASCII characters"))
    if problems:
        return outer
    body = json.dumps(found["body"], ensure_ascii=False, allow_nan=False).encode() if found["body"] else b""
    return _request(operation, outer, found["path"], query, found["header"], body)


def _query_texts(name: str, value: Any, problems: list[FieldError]) -> list[str]:
    """A value, or a list of values, as a query has them."""
    texts = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool):
            texts.append("true" if each else "false")
        elif isinstance(each, str | int | float):
            texts.append(str(each))
        else:
            problems.append(FieldError(name[:60], "must be a text, a number or a flag"))
            break
    return texts


def _request(
    operation: Operation,
    outer: Request,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> Request:
    """A request by the client of another one, with its credential."""
    sent = [(name, value) for name, value in outer.scope["headers"] if name in SENT_HEADERS]
    sent += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": operation.binding.verb,
        "path": operation.binding.path,
        "path_params": dict(path),
        "query_string": urlencode(query, doseq=True).encode(),
        "headers": [*sent, (b"content-type", JSON.encode())],
        credentials.ADDRESS: outer.scope[credentials.ADDRESS],
        credentials.REQUEST_ID: credentials.request_id(outer),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)
