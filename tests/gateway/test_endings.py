"""How an answer ended is logged and measured: complete, left by its client, cut by control's deadline, or broken."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.api import httpbody_pb2
from grpc import StatusCode
from grpc.aio import EOF, AioRpcError, Metadata
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from gateway import contract, errors, sse, transcode
from gateway.admission import ClientAdmission
from gateway.bodies import Bodies, ClientDisconnected
from gateway.credentials import ADDRESS, ClientCredentials, Cookies
from gateway.middleware import AccessLog
from hum import rpc, secrets
from hum.v1 import calls_pb2
from tests.support.metrics import sample


class Call:
    """A streaming RPC: sends its messages, then an error, or waits for ever."""

    def __init__(self, *messages: Any, code: StatusCode | None = None) -> None:
        self._left, self._code = list(messages), code
        self.cancelled = False

    async def initial_metadata(self) -> list[tuple[str, str]]:
        return [(rpc.STREAM, "open")]

    async def read(self) -> Any:
        if self._left:
            return self._left.pop(0)
        if self._code is None:
            await asyncio.Event().wait()
        raise AioRpcError(self._code, Metadata(), Metadata(), "as it goes")  # type: ignore[arg-type]

    def cancel(self) -> None:
        self.cancelled = True


def delta() -> calls_pb2.StreamCallResponse:
    message = calls_pb2.StreamCallResponse(seq=1)
    message.ended.SetInParent()
    return message


async def run(endpoint: Any, *, leaves: bool = False, body: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The access log's line for one request to `/it`; a client that leaves does so after some of the body."""
    app = Starlette(routes=[Route("/it", endpoint, methods=["GET", "POST"])], middleware=[Middleware(AccessLog)])
    scope = {
        "type": "http", "method": "GET", "path": "/it", "raw_path": b"/it", "query_string": b"", "headers": [],
        "asgi": {"spec_version": "2.3"}, "http_version": "1.1", "scheme": "http", "server": ("test", 80), "root_path": "",
    }  # fmt: skip
    seen, waiting = asyncio.Event(), body or [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        if not leaves:
            await asyncio.Event().wait()
        await seen.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            seen.set()

    with capture_logs() as logs:
        try:
            await asyncio.wait_for(app(scope, receive, send), 60)
        except RuntimeError:
            pass
    (line,) = [each for each in logs if each["event"] == "http"]
    return dict(line)


def cut(status: int) -> float:
    labels = {"method": "GET", "route": "/it", "status": str(status)}
    return sample("hum_http_cut_total", labels) or 0.0


def heads(status: int) -> float:
    labels = {"method": "GET", "route": "/it", "status": str(status)}
    return sample("hum_http_seconds_count", labels) or 0.0


def stream(call: Call) -> Any:
    async def endpoint(request: Request) -> Response:
        return await sse.respond(call, 10.0, asyncio.Event(), request.scope)

    return endpoint


async def test_a_stream_that_its_client_leaves() -> None:
    call, before = Call(delta()), cut(499)
    assert (await run(stream(call), leaves=True))["status"] == 499
    assert (cut(499) - before, call.cancelled) == (1, True)


@pytest.mark.parametrize(
    ("code", "status"),
    [(StatusCode.DEADLINE_EXCEEDED, 504), (StatusCode.CANCELLED, 503), (StatusCode.UNAVAILABLE, 503), (StatusCode.INTERNAL, 500)],
)  # fmt: skip
async def test_a_stream_that_control_ends(code: StatusCode, status: int) -> None:
    before = cut(status)
    assert (await run(stream(Call(delta(), code=code))))["status"] == status
    assert cut(status) - before == 1


async def test_a_stream_that_is_over_is_whole() -> None:
    before = cut(499)
    assert (await run(stream(Call(delta(), EOF))))["status"] == 200
    assert cut(499) == before


async def test_a_file_past_its_deadline_is_cut_and_not_a_bug() -> None:
    part = httpbody_pb2.HttpBody(content_type="audio/wav", data=b"RIFF")
    call, before = Call(part, code=StatusCode.DEADLINE_EXCEEDED), cut(504)

    async def endpoint(_: Request) -> Response:
        return await transcode._file(call, 10.0, asyncio.Event(), bodiless=False)

    assert (await run(endpoint))["status"] == 504
    assert (cut(504) - before, call.cancelled) == (1, True)


class SlowFile(Call):
    """A file whose parts each take a while; past a deadline it ends as gRPC would end it."""

    def __init__(self, parts: int, seconds: float, timeout: float | None) -> None:
        super().__init__(*[httpbody_pb2.HttpBody(content_type="audio/wav", data=b"RIFF")] * parts, EOF)
        self._seconds, self._deadline = seconds, None if timeout is None else time.monotonic() + timeout

    async def initial_metadata(self) -> list[tuple[str, str]]:
        return []

    async def read(self) -> Any:
        await asyncio.sleep(self._seconds)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise AioRpcError(StatusCode.DEADLINE_EXCEEDED, Metadata(), Metadata(), "too late")
        return await super().read()


class Channel:
    """Control, whose streams and answers are made by these."""

    def __init__(self, stream: Any = None, answer: Any = None) -> None:
        self._stream, self._answer = stream, answer

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        return self._answer

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        return self._stream


async def ask(method: str, channel: Channel, control_seconds: float = 60.0) -> dict[str, Any]:
    """The access log's line for a client's request of this RPC, of something by its id."""
    (binding,) = [each for each in contract.bindings() if each.method.name == method]
    caller = ClientCredentials(Cookies("http://test"), rpc.NodeIdentity(b"k" * 32, "gateway", "g"))
    admission = ClientAdmission(channel, caller, control_seconds)  # type: ignore[arg-type]
    limits = transcode.EndpointLimits(
        control_seconds, control_seconds, 10.0, Bodies(1000, 1000, 1.0), caller, admission, asyncio.Event(), 1000
    )
    endpoint = transcode.RpcEndpoint(binding, channel, limits)  # type: ignore[arg-type]

    async def of_something(request: Request) -> Response:
        request.scope["path_params"] = {"id": "call_1"}
        request.scope[ADDRESS] = "203.0.113.7"
        request.scope["headers"] = [(b"authorization", b"Bearer " + secrets.new_api_key().encode())]
        return await endpoint(Request(request.scope, request.receive))

    return await run(of_something)


async def download(parts: int, seconds: float, control_seconds: float) -> tuple[int, SlowFile]:
    """The status of the download of a recording with so many parts, each after so many seconds."""
    made: list[SlowFile] = []

    def open_call(_: Any, *, timeout: float | None, **__: Any) -> SlowFile:
        made.append(SlowFile(parts, seconds, timeout))
        return made[0]

    return (await ask("GetRecording", Channel(stream=open_call), control_seconds))["status"], made[0]


@pytest.mark.parametrize(
    ("method", "cut_off", "status", "asked"),
    [("GetCall", 1, 200, 2), ("GetCall", 2, 503, 2), ("HangUpCall", 1, 503, 1)],
)
async def test_a_request_that_a_stopping_control_cuts_off_is_asked_again_if_it_changes_nothing(
    method: str, cut_off: int, status: int, asked: int
) -> None:
    codes: list[StatusCode] = []

    class Answer:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            if len(codes) <= cut_off:
                raise AioRpcError(StatusCode.CANCELLED, Metadata(), Metadata(), "Cancelled on the server side")
            return calls_pb2.GetCallResponse()

        async def trailing_metadata(self) -> list[tuple[str, str]]:
            return []

    def open_call(*_: Any, **__: Any) -> Answer:
        codes.append(StatusCode.CANCELLED)
        return Answer()

    assert ((await ask(method, Channel(answer=open_call)))["status"], len(codes)) == (status, asked)


async def test_a_file_may_take_longer_than_control_has_for_a_part_of_it() -> None:
    assert (await download(parts=6, seconds=0.5, control_seconds=2.5))[0] == 200


async def test_a_file_that_never_comes_is_late() -> None:
    before = heads(504)
    status, call = await download(parts=1, seconds=5.0, control_seconds=0.1)
    assert (status, call.cancelled, heads(504) - before) == (504, True, 1)


async def test_half_a_body_is_no_request() -> None:
    async def endpoint(request: Request) -> Response:
        request.scope[ADDRESS] = "203.0.113.7"
        with pytest.raises(ClientDisconnected) as left:
            await Bodies(1000, 1000, 1.0).read(request)
        return errors.refusal_of(left.value, "req_1")

    before = heads(499)
    body: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"a"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert (await run(endpoint, body=body))["status"] == 499
    assert heads(499) - before == 1


async def test_a_bug_is_measured() -> None:
    async def endpoint(_: Request) -> Response:
        raise RuntimeError("a bug")

    before = heads(500)
    assert (await run(endpoint))["status"] == 500
    assert heads(500) - before == 1


async def test_a_request_that_is_cancelled_is_logged() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise asyncio.CancelledError

    async def endpoint(_: Request) -> Response:
        return StreamingResponse(parts())

    before = cut(499)
    assert (await run(endpoint))["status"] == 499
    assert cut(499) - before == 1
