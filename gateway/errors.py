"""Errors as REST answers.  A reason takes precedence over gRPC's code: HTTP has statuses that gRPC lacks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc.aio import AioRpcError
from grpc_status import rpc_status
from starlette.responses import Response

from hum import rpc
from hum.contract.errors import FieldError, RequestRefused
from hum.json import names as jsonnames

BY_REASON: Mapping[str, int] = {
    "INVALID_REQUEST": 400,
    "INVALID_JSON": 400,
    "INVALID_CURSOR": 400,
    "SESSION_REQUIRED": 401,
    "API_KEY_REQUIRED": 401,
    "PLAN_LIMIT": 402,
    "BILLING_REQUIRED": 402,
    "FORBIDDEN": 403,
    "INSUFFICIENT_SCOPE": 403,
    "NO_MEMBERSHIP": 403,
    "CSRF_FAILED": 403,
    "EMAIL_UNVERIFIED": 403,
    "NOT_FOUND": 404,
    "NOT_AT_CARRIER": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "ALREADY_EXISTS": 409,
    "CONFLICT": 409,
    "ORGANIZATION_CHANGED": 409,
    "IN_USE": 409,
    "INVALID_STATE": 409,
    "CONVERSATION_CLOSED": 409,
    "TIME_TAKEN": 409,
    "HOLD_EXPIRED": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "RATE_LIMITED": 429,
    "CARRIER_ERROR": 502,
    "PAYMENT_ERROR": 502,
    "UNAVAILABLE": 503,
    "NOT_STORED_YET": 503,
    "STORE_UNAVAILABLE": 503,
}
TIMED_OUT = 504
CLIENT_CLOSED_REQUEST = 499  # nginx's status; HTTP defines none
BY_CODE: Mapping[StatusCode, int] = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.CANCELLED: CLIENT_CLOSED_REQUEST,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: TIMED_OUT,
}
BAD, INTERNAL, UNAUTHENTICATED = 400, 500, 401
UNAVAILABLE = "The service is temporarily unavailable; try again."
#: The most bad fields that an answer names, and the most characters of a path and a reason.
MAX_FIELDS, PATH_CHARS, REASON_CHARS = 20, 200, 500
#: One step of a field's path: a name, and the item of a list or the key of a map.
STEP = re.compile(r'([^.\[\]]+)((?:\["(?:[^"\\]|\\.)*"\]|\[[^\]]*\])*)')


#: Key in a request's scope: the status of a stream that control cut off; its client sees an ordinary end.
CUT_STATUS = "hum.cut"


class TruncatedResponse(Exception):  # noqa: N818
    """A file can't be finished after its headers were sent: its client must see that it is incomplete."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cut off: {status}")
        self.status = status


def truncated_response(error: AioRpcError) -> TruncatedResponse:
    """Return the error with which control cut off a stream or a file, as a status."""
    return TruncatedResponse(BY_CODE.get(_code(error), INTERNAL))


def _code(error: AioRpcError) -> StatusCode:
    """Return an error's code; `UNAVAILABLE` if control, which stops, has cancelled: nobody answers a client that has left."""
    return StatusCode.UNAVAILABLE if error.code() is StatusCode.CANCELLED else error.code()


def answer(
    status: int,
    reason: str,
    message: str,
    request_id: str,
    details: Sequence[Any] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error in the one shape of all errors."""
    body = {
        "error": {"code": reason.lower(), "message": message, "details": list(details), "request_id": request_id},
    }
    challenge = {"WWW-Authenticate": "Bearer"} if status == UNAUTHENTICATED else {}
    return Response(msgspec.json.encode(body), status, {**challenge, **(headers or {})}, "application/json")


def refusal(reason: str, message: str, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error that the gateway itself raises."""
    return answer(BY_REASON[reason], reason, message, request_id, headers=headers)


def refusal_of(error: RequestRefused, request_id: str) -> Response:
    """Return a refusal that was raised in the gateway as a REST answer."""
    if error.fields:
        return bad_fields(error.fields, request_id)
    status = BY_REASON.get(error.reason, 0) or BY_CODE[StatusCode[error.code]]
    return answer(status, error.reason, str(error), request_id)


def timeout(request_id: str) -> Response:
    """Return the error for a control that did not begin its answer in time."""
    return answer(TIMED_OUT, StatusCode.DEADLINE_EXCEEDED.name, UNAVAILABLE, request_id)


def truncate(problems: Sequence[FieldError]) -> list[FieldError]:
    """Return the first MAX_FIELDS of these errors, with paths and reasons of bounded length.

    Names and values come from the client, so an answer that repeats them must not be larger than the request.
    """
    return [FieldError(error.field[:PATH_CHARS], error.reason[:REASON_CHARS]) for error in problems[:MAX_FIELDS]]


def bad_fields(fields: Sequence[FieldError], request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a 400 that names the bad fields."""
    details = [error._asdict() for error in truncate(fields)]
    return answer(400, "INVALID_REQUEST", "Some fields are invalid.", request_id, details, headers)


def answer_headers(trailing: Any) -> dict[str, str]:
    """Return the answer's headers, from control's trailing metadata."""
    names = {
        rpc.REPLAYED: "Idempotent-Replayed",
        rpc.RETRY_AFTER: "Retry-After",
        **{f"{rpc.RATE_PREFIX}{name}": f"RateLimit-{name.title()}" for name in ("limit", "remaining", "reset")},
    }
    return {names[name]: value for name, value in trailing or () if name in names}


def rpc_error(error: AioRpcError, request_id: str, rename: "Rename") -> Response:
    """Return control's error as a REST answer; `rename` turns a field's path in proto names into the client's."""
    reason, metadata, fields = _details(error)
    status = BY_REASON.get(reason, 0) or BY_CODE.get(_code(error), INTERNAL)
    if fields:
        renamed = [FieldError(rename(field.field), field.reason) for field in truncate(fields)]
        return bad_fields(renamed, request_id, answer_headers(error.trailing_metadata()))
    details = [dict(metadata)] if metadata else []
    message = error.details() or ""
    # gRPC's own error: no connection, a deadline, a cancelled call.  Its message is not for clients.
    if not reason:
        reason = "INTERNAL" if status == INTERNAL else _code(error).name
        message = UNAVAILABLE if status >= INTERNAL else _code(error).value[1]
    headers = answer_headers(error.trailing_metadata())
    if status in {429, 503} or reason == "IDEMPOTENCY_IN_PROGRESS":
        headers.setdefault("Retry-After", "1")
    return answer(status, reason, message, request_id, details, headers)


class Rename:
    """A mapping of a request's field paths from proto names to the client's.

    It yields REST names at every depth, without the body's own field, which the client did not write.
    """

    def __init__(self, request: Descriptor | None = None, body_field: FieldDescriptor | None = None) -> None:
        self._request, self._body_field = request, body_field

    def __call__(self, path: str) -> str:
        steps = STEP.findall(path)
        if self._body_field is not None and steps[:1] == [(self._body_field.name, "")]:
            if len(steps) == 1:
                return "body"
            return self._renamed(self._body_field.message_type, steps[1:])
        return self._renamed(self._request, steps)

    def _renamed(self, descriptor: Descriptor | None, steps: Sequence[tuple[str, str]]) -> str:
        names = []
        for name, subscript in steps:
            field = descriptor.fields_by_name.get(name) if descriptor is not None else None
            names.append((jsonnames.rest_name(field) if field is not None else name) + subscript)
            descriptor = jsonnames.message_type(field) if field is not None else None
        return ".".join(names)


def prefixes(path: str) -> Iterator[str]:
    """Yield a path and its ancestors' paths, outermost first: of `a.b[3]`, `a`, `a.b` and `a.b[3]`."""
    before = ""
    for name, subscript in STEP.findall(path):
        before += ("." if before else "") + name
        yield before
        if subscript:
            before += subscript
            yield before


def reason(error: AioRpcError) -> str:
    """Return the reason that control gives for an error; empty for gRPC's own errors."""
    return _details(error)[0]


def facts(error: AioRpcError) -> Mapping[str, str]:
    """Return what control adds to the reason of an error."""
    return _details(error)[1]


def _details(error: AioRpcError) -> tuple[str, Mapping[str, str], list[FieldError]]:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError has what it reads
    except ValueError:
        return "", {}, []
    reason, metadata, fields = "", {}, []
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields = [FieldError(violation.field, violation.description) for violation in bad.field_violations]
    return reason, metadata, fields
