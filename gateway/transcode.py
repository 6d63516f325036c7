"""REST from the contract: each RPC with a `google.api.http` option becomes a route.

A request's path, query, body and a few headers fill the RPC's request; its answer becomes JSON, an event stream, or the
bytes of a file.  This module is independent of features.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from grpc import StatusCode, aio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway import admission, compression, contract, credentials, errors, forms, requestlimit, sse
from gateway.admission import ClientAdmission
from gateway.bodies import BadBody, Bodies
from gateway.contract import Binding
from gateway.credentials import ClientCredentials
from hum import rpc
from hum.contract import authorization, validation, wire
from hum.contract.errors import FieldError, InvalidRequest, RequestRefused
from hum.contract.wire import NotJson
from hum.json import names

Endpoint = Callable[[Request], Awaitable[Response]]
Endpoints = Mapping[tuple[str, str], Endpoint]
"""Endpoints by path and verb."""
JSON_TYPES = ("application/json", "text/json")
NO_CONTENT = 204
IN_PATH = "is given by the path; leave it out of the body"
#: Forms from this size on are parsed in a thread.
LARGE_FORM_BYTES = 64 << 10
TOO_MANY_STREAMS = "This gateway has as many open streams and downloads as it may; try again."


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Time limits, and what all endpoints share: the reader of bodies, the clients' credentials and admission, and the drain."""

    control_seconds: float
    #: For methods that ask the model.
    model_seconds: float
    heartbeat_seconds: float
    bodies: Bodies
    client: ClientCredentials
    admission: ClientAdmission
    #: Set when the gateway drains: event streams end, and their clients reconnect elsewhere.
    closing: asyncio.Event
    #: For a body that is not JSON but the text of one field.
    text_bytes: int


def endpoints(bindings: Sequence[Binding], channel: aio.Channel, limits: EndpointLimits) -> Endpoints:
    """Return an endpoint for each RPC, which routes and agents share."""
    return {(binding.path, binding.verb): RpcEndpoint(binding, channel, limits) for binding in bindings}


def routes(endpoints: Endpoints) -> list[Route]:
    """Return one route for each path, which answers 405 with all verbs of the path.

    Literal segments go before variables: of `/team/invites` and `/team/{user_id}`, the first is tried first.
    """
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for (path, verb), endpoint in endpoints.items():
        by_path[path][verb] = endpoint
    ordered = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [Route(path, _Dispatch(by_path[path]), methods=None, name=path) for path in ordered]


class _Dispatch:
    """A path as an ASGI endpoint: Starlette's own answers 405 with the verbs of one route only."""

    def __init__(self, verbs: Mapping[str, Endpoint]) -> None:
        self._verbs = verbs
        self._allowed = ", ".join(sorted({*verbs, *({"HEAD"} if "GET" in verbs else ())}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        verb = "GET" if request.method == "HEAD" else request.method
        endpoint = self._verbs.get(verb)
        if endpoint is None:
            headers = {"Allow": self._allowed}
            message = f"This path allows only {self._allowed}."
            answer = errors.refusal("METHOD_NOT_ALLOWED", message, credentials.request_id(request), headers)
        else:
            answer = await endpoint(request)
        await answer(scope, receive, send)


class RpcEndpoint:
    """The endpoint of an RPC; a request's path variables are in `path_params`."""

    def __init__(self, binding: Binding, channel: aio.Channel, limits: EndpointLimits) -> None:
        self._binding, self._channel, self._limits = binding, channel, limits

    async def __call__(self, request: Request) -> Response:
        binding, limits, request_id = self._binding, self._limits, credentials.request_id(request)
        try:
            # Before the body is read.
            limits.client.require(request)
            if admission.has_large_body(request):
                await limits.admission.admit(request)
            message = await _fill(binding, request, limits, self._rename)
        except RequestRefused as error:
            return errors.refusal_of(error, request_id)
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, errors.Rename())
        if binding.method.server_streaming and not requestlimit.admit_stream(request.scope):
            return errors.refusal("UNAVAILABLE", TOO_MANY_STREAMS, request_id, {"Retry-After": "5"})
        seconds = limits.model_seconds if binding.asks_model else limits.control_seconds
        # Streams have no time limit, and files take as long as their client: only the wait for each part is limited.
        timeout = None if binding.method.server_streaming else seconds
        ask = partial(self._open_call, message, metadata=limits.client.metadata(request), timeout=timeout)
        try:
            if binding.method.server_streaming:
                return await self._begin_stream(ask(), request, seconds)
            return await self._answer(ask, takes_gzip=compression.is_accepted(request.headers))
        except aio.AioRpcError as error:
            return errors.rpc_error(error, request_id, self._rename)

    async def _answer(self, ask: Callable[[], Any], *, takes_gzip: bool) -> Response:
        """Return control's answer.  Raises AioRpcError."""
        try:
            return await _unary(self._binding, ask(), takes_gzip=takes_gzip)
        except aio.AioRpcError as error:
            # gRPC cancels what reaches a control that is just stopping; what changes nothing is asked of another.
            if error.code() is not StatusCode.CANCELLED or self._binding.verb != "GET":
                raise
        return await _unary(self._binding, ask(), takes_gzip=takes_gzip)

    async def _begin_stream(self, call: Any, request: Request, seconds: float) -> Response:
        """Return events or a file; control has `seconds` to begin.  Raises AioRpcError."""
        limits = self._limits
        try:
            async with asyncio.timeout(seconds):
                if self._binding.is_stream:
                    return await sse.respond(call, limits.heartbeat_seconds, limits.closing, request.scope)
                return await _file(call, seconds, limits.closing, bodiless=request.method == "HEAD")
        except TimeoutError:
            call.cancel()
            return errors.timeout(credentials.request_id(request))

    # Both are made for the first request: the contract has hundreds of RPCs, and most are rare.

    @cached_property
    def _open_call(self) -> Callable[..., Any]:
        binding, channel = self._binding, self._channel
        return (channel.unary_stream if binding.method.server_streaming else channel.unary_unary)(
            binding.rpc,
            request_serializer=binding.request_type.SerializeToString,
            response_deserializer=binding.response_type.FromString,
        )

    @cached_property
    def _rename(self) -> errors.Rename:
        return errors.Rename(self._binding.method.input_type, self._binding.body_field)


# --- the request --------------------------------------------------------------------------------------------------


async def _fill(binding: Binding, request: Request, limits: EndpointLimits, rename: errors.Rename) -> Message:
    """Return the RPC's request.  Raises InvalidRequest, and as `Bodies.read` and `ClientAdmission.admit`."""
    message, problems = binding.request_type(), list[FieldError]()
    query_fields = binding.query_fields
    if binding.text_type and _media_type(request) == binding.text_type:
        query_fields = binding.fields_beside_text
        text = await limits.bodies.read(request, limits.text_bytes)
        _text(binding.text_field, text, message, problems)
    elif binding.text_type and _media_type(request) == forms.MEDIA_TYPE:
        await _form(binding, request, limits, message, problems)
    else:
        await _body(binding, request, limits, message, problems)
    _query(query_fields, request, message, problems)
    if (problem := credentials.bad_idempotency_key(request)) is not None:
        problems.append(FieldError("Idempotency-Key", problem))
    for name in binding.path_fields:
        setattr(message, name, request.path_params[name])
    fields = message.DESCRIPTOR.fields_by_name
    if contract.EVENT_ID in fields and (event_id := sse.last_event_id(request)):
        if (sequence := sse.sequence(event_id)) is None:
            problems.append(FieldError("Last-Event-ID", "is not an event id of this stream"))
        else:
            setattr(message, contract.EVENT_ID, sequence)
    if contract.RANGE in fields:
        setattr(message, contract.RANGE, request.headers.get("range", ""))
    if problems := errors.truncate(problems):
        # Control will not see this request, so report its findings here too, except about a list or an object that
        # lacks its bad value: that value would be reported twice.
        await limits.admission.admit(request)
        holes = {prefix for problem in problems for prefix in errors.prefixes(problem.field)}
        checked = validation.check(message, by_schemas=False)
        further = (FieldError(rename(problem.field), problem.reason) for problem in checked)
        raise InvalidRequest([*problems, *(problem for problem in further if problem.field not in holes)])
    return message


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(
    binding: Binding, request: Request, limits: EndpointLimits, message: Message, problems: list[FieldError]
) -> None:
    if binding.body_type is None and binding.verb == "GET":
        return  # HTTP gives it no meaning
    text = await limits.bodies.read(request)
    if text and _media_type(request) not in JSON_TYPES:
        types = " or ".join((JSON_TYPES[0], *((binding.text_type, forms.MEDIA_TYPE) if binding.text_type else ())))
        raise BadBody("UNSUPPORTED_MEDIA_TYPE", f"The body must be {types}.")
    if binding.has_update_mask and not text:
        raise BadBody("INVALID_JSON", "The body is missing; send an object with what is to change.")
    target = _body_target(binding, message)
    try:
        members = wire.read_body(text or b"{}", target, problems)
    except NotJson as error:
        raise BadBody("INVALID_JSON", str(error)) from error
    if binding.whole_body:
        problems += [FieldError(name, IN_PATH) for name in binding.path_fields if name in members]
    if binding.body_field:
        target.SetInParent()
    if binding.has_update_mask:
        getattr(message, contract.MASK).paths.extend(members)


def _body_target(binding: Binding, message: Message) -> Message:
    """Return the message that the body fills: the request, one field of it, or an empty message if there is no body."""
    if binding.body_type is None:
        return Empty()
    target: Message = getattr(message, binding.body_field.name) if binding.body_field else message
    return target


async def _form(
    binding: Binding, request: Request, limits: EndpointLimits, message: Message, problems: list[FieldError]
) -> None:
    """Read a form: one part is the text of a field, as a file or plain, and the others are like query parameters."""
    body = await limits.bodies.read(request, limits.text_bytes + forms.MOST_BYTES_AROUND)
    try:
        content_type = request.headers["content-type"]
        if len(body) < LARGE_FORM_BYTES:
            parts = forms.parts(body, content_type)
        else:
            parts = await asyncio.to_thread(forms.parts, body, content_type)
    except forms.BadForm as error:
        raise BadBody("INVALID_REQUEST", str(error)) from error
    if any(len(value) > limits.text_bytes for values in parts.values() for value in values):
        raise BadBody("PAYLOAD_TOO_LARGE", f"A part of the form is larger than {limits.text_bytes} bytes.")
    fields = {names.rest_name(field): field for field in binding.fields_beside_text}
    for name, values in parts.items():
        if name == binding.text_field and len(values) == 1:
            _text(name, values[0], message, problems)
        elif (field := fields.get(name)) is not None:
            wire.read_query(field, [value.decode(errors="replace") for value in values], message, problems)
        else:
            problems.append(
                FieldError(name[:60], "must not be repeated" if name == binding.text_field else "is not a field")
            )


def _text(field: str, text: bytes, message: Message, problems: list[FieldError]) -> None:
    if message.DESCRIPTOR.fields_by_name[field].type == FieldDescriptor.TYPE_BYTES:
        setattr(message, field, text)
        return
    try:
        setattr(message, field, text.decode())
    except UnicodeDecodeError as error:
        problems.append(FieldError(field, f"is not UTF-8 from byte {error.start} on; save it as UTF-8"))


def _query(fields: Iterable[FieldDescriptor], request: Request, message: Message, problems: list[FieldError]) -> None:
    by_name = {names.rest_name(field): field for field in fields}
    sent_names = dict.fromkeys(request.query_params.keys())
    by_alias = {alias: field for field in by_name.values() if (alias := names.query_alias(field))}
    for name in sent_names:
        if (field := by_name.get(name) or by_alias.get(name)) is None:
            problems.append(FieldError(name, "is not a parameter of this path"))
        elif name in by_alias and (newer := names.rest_name(field)) in sent_names:
            problems.append(FieldError(name, f"is an older name of {newer}; send one of them"))
        else:
            wire.read_query(field, request.query_params.getlist(name), message, problems)


# --- the answer ---------------------------------------------------------------------------------------------------


async def _unary(binding: Binding, call: Any, *, takes_gzip: bool) -> Response:
    message: Message = await call
    headers = errors.answer_headers(await call.trailing_metadata())
    if binding.status == NO_CONTENT:
        return Response(status_code=NO_CONTENT, headers=headers)
    field = binding.rule.response_body
    body = wire.write_field(message, field) if field else wire.write(message)
    # Never compress a secret: an attacker who controls another part of the answer learns it from the length (BREACH).
    if len(body) >= compression.MIN_BYTES and not authorization.access_of(binding.method).answers_secret:
        headers = {**headers, "Vary": "Accept-Encoding"}
        if takes_gzip:
            body, headers["Content-Encoding"] = await compression.compress(body), "gzip"
    return Response(body, binding.status_of(message), headers, "application/json")


async def _file(call: Any, seconds: float, closing: asyncio.Event, *, bodiless: bool) -> Response:
    """Answer with the file; control has `seconds` for each part.  An endless file ends when the gateway drains."""
    initial = await call.initial_metadata()
    first = await call.read()  # raises a refusal
    if first is aio.EOF:
        return Response(status_code=NO_CONTENT)

    is_endless = any(name == rpc.STREAM for name, _ in initial)

    async def parts() -> Any:
        part = first
        try:
            while part is not aio.EOF and not (is_endless and closing.is_set()):
                yield part.data
                async with asyncio.timeout(seconds):
                    part = await call.read()
        except aio.AioRpcError as error:
            raise errors.truncated_response(error) from error
        except TimeoutError as error:
            raise errors.TruncatedResponse(errors.TIMED_OUT) from error
        finally:
            call.cancel()

    headers = {name.removeprefix(rpc.HTTP_PREFIX): value for name, value in initial if name.startswith(rpc.HTTP_PREFIX)}
    status = int(headers.pop("status", 200))
    if bodiless:
        call.cancel()
        return StreamingResponse(iter(()), status, headers, first.content_type)
    return StreamingResponse(parts(), status, headers, first.content_type)
