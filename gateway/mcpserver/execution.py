"""Execution of an operation as REST would do it: the arguments become a request that goes through the same transcoding.

The request is passed to the operation's own endpoint, never to a router, so no argument can lead it to another path.
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
from hum.contract.errors import FieldError
from hum.observe.logs import log

LOG = log(__name__)
EXECUTED = Counter("hum_mcp_operations", "Operations that agents carried out at /mcp", ["operation", "status"])
#: An operation that any credential may call; control's answer tells whether the credential is valid.
WHO_AM_I: Final = "getMe"
#: Headers of an answer that an agent gets.
RETURNED_HEADERS: Final = ("retry-after", "idempotent-replayed")
SENT_HEADERS: Final = (b"authorization",)


class Execution:
    """The operations with their endpoints, and the limit on the size of an answer."""

    def __init__(
        self,
        catalogue: Catalogue,
        endpoints: transcode.Endpoints,
        max_bytes: int,
        public_url: str,
    ) -> None:
        self._endpoints = {
            operation.id: endpoints[operation.binding.path, operation.binding.verb] for operation in catalogue
        }
        self._catalogue, self._max_bytes, self._public_url = catalogue, max_bytes, public_url

    async def refusal(self, request: Request) -> Response | None:
        """Return control's answer if it does not accept the credential, else None.

        Counts as a request of the credential.
        """
        operation = self._catalogue.get(WHO_AM_I)
        assert operation is not None, "the contract has it"
        answer = await self._endpoints[operation.id](_request(operation, request, {}, {}, {}, b""))
        return answer if answer.status_code >= errors.BAD else None

    async def run(self, operation: Operation, arguments: Mapping[str, Any], request: Request) -> Response:
        """Execute an operation and return REST's answer."""
        problems = list[FieldError]()
        built = _build_request(operation, arguments, request, problems)
        if problems:
            return errors.bad_fields(problems, credentials.request_id(request))
        answer = await self._endpoints[operation.id](built)
        EXECUTED.labels(operation.id, answer.status_code).inc()
        LOG.info("mcp", operation=operation.id, status=answer.status_code, request_id=credentials.request_id(request))
        return answer

    def url(self, operation: Operation, arguments: Mapping[str, Any]) -> str:
        """Return the operation's URL, with the variables of its path as far as the arguments have them."""
        path = operation.binding.path
        for name in operation.binding.path_fields:
            if isinstance(value := arguments.get(name), str) and value:
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return self._public_url + path

    async def as_text(self, answer: Response) -> bytes:
        """Return an answer as an agent reads it, cut to `max_bytes`."""
        result: dict[str, Any] = {"status": answer.status_code}
        if headers := {name: answer.headers[name] for name in RETURNED_HEADERS if name in answer.headers}:
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
        """Return the body up to `max_bytes`, and whether that is all.  No more of a file is read."""
        if not isinstance(answer, StreamingResponse):
            whole = bytes(answer.body)
            return whole[: self._max_bytes], len(whole) <= self._max_bytes
        body = bytearray()
        try:
            async for part in answer.body_iterator:
                body += part if isinstance(part, bytes) else str(part).encode()
                if len(body) > self._max_bytes:
                    return bytes(body[: self._max_bytes]), False
        except errors.TruncatedResponse:
            return bytes(body), False
        finally:
            await _close(answer)
        return bytes(body), True


async def _close(answer: StreamingResponse) -> None:
    """Stop reading a file, which also cancels the call to control."""
    if (close := getattr(answer.body_iterator, "aclose", None)) is not None:
        await close()


def _build_request(
    operation: Operation, arguments: Mapping[str, Any], outer: Request, problems: list[FieldError]
) -> Request:
    """Build the request from an operation's arguments; append problems under the arguments' names."""
    places = operation.names_of
    # An argument that is not a parameter goes to the body or, without a body, to the query, where REST reports it.
    default_place = "query" if operation.binding.body_type is None else "body"
    arguments_by_place: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}}
    for name, value in arguments.items():
        arguments_by_place[places.get(name, default_place)][name] = value
    path_values = {name: arguments_by_place["path"].get(name) for name in operation.binding.path_fields}
    problems += [
        FieldError(name, "must be a text" if value else "is required")
        for name, value in path_values.items()
        if not isinstance(value, str) or not value
    ]
    query = {
        name: _query_texts(name, value, problems)
        for name, value in arguments_by_place["query"].items()
        if value is not None
    }
    for name, value in arguments_by_place["header"].items():
        if not isinstance(value, str) or re.fullmatch(credentials.IDEMPOTENCY_KEY, value) is None:
            problems.append(FieldError(name, "must be 1 to 255 printable ASCII characters"))
    if problems:
        return outer
    body = (
        json.dumps(arguments_by_place["body"], ensure_ascii=False, allow_nan=False).encode()
        if arguments_by_place["body"]
        else b""
    )
    return _request(operation, outer, arguments_by_place["path"], query, arguments_by_place["header"], body)


def _query_texts(name: str, value: Any, problems: list[FieldError]) -> list[str]:
    """Return a value, or a list of values, as texts of a query."""
    texts = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            texts.append(str(item))
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
    """Return a request on behalf of the outer request's client, with its credential."""
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
