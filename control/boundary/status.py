"""The google.rpc.Status that a client gets for an exception."""

from collections.abc import Mapping, Sequence

import asyncpg
import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from hum import rpc
from hum.contract.errors import Conflict, FieldError, NotFound, RequestRefused, Unavailable
from storage.db import LIMITS, UNAVAILABLE

#: A status travels as trailing metadata, of which gRPC accepts 8 KiB in all: its message (percent-encoded), and the
#: whole status again in base64.  These limits on the message and the field errors keep it below that.
MAX_MESSAGE_BYTES, MAX_FIELDS_BYTES, MAX_REASON_CHARS = 600, 2_000, 300
FIELD_OVERHEAD_BYTES = 10


def refusal(error: Exception) -> RequestRefused | None:
    """Return the refusal that an exception means; None for a bug."""
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
        return Conflict()
    if isinstance(error, asyncpg.InsufficientPrivilegeError) and LIMITS.get() is not None:
        return NotFound("There is no such thing among the numbers and agents that you see.")
    if isinstance(error, asyncpg.QueryCanceledError):
        message = "This took the database too long; ask for less at once, or try again."
        return Unavailable(message, **rpc.TIME_LIMIT)
    return Unavailable("The database is not available; try again.") if isinstance(error, UNAVAILABLE) else None


def status(refused: RequestRefused | None, request_id: str) -> status_pb2.Status:
    """Return the status of a refusal or, without one, of a bug: an ErrorInfo, and a BadRequest for invalid fields."""
    if refused is None:
        message = f"Internal error; please quote {request_id} when you report it."
        return status_pb2.Status(
            code=grpc.StatusCode.INTERNAL.value[0], message=message, details=[_info("INTERNAL", {})]
        )
    details = [_info(refused.reason, refused.metadata)]
    if refused.fields:
        details.append(_bad_request(refused.fields))
    code: int = grpc.StatusCode[refused.code].value[0]
    return status_pb2.Status(code=code, message=_cut(str(refused)), details=details)


def _info(reason: str, metadata: Mapping[str, str]) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=rpc.ERROR_DOMAIN, metadata=metadata))
    return packed


def _bad_request(fields: Sequence[FieldError]) -> any_pb2.Any:
    violation = error_details_pb2.BadRequest.FieldViolation
    packed = any_pb2.Any()
    packed.Pack(
        error_details_pb2.BadRequest(
            field_violations=[violation(field=error.field, description=error.reason) for error in _bounded(fields)]
        )
    )
    return packed


def _cut(message: str) -> str:
    return _encodable(message).encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


def _encodable(text: str) -> str:
    """Return a text with its lone surrogates escaped: an error may quote what a client sent."""
    return text.encode(errors="backslashreplace").decode()


def _bounded(fields: Sequence[FieldError]) -> list[FieldError]:
    """Return as many errors as fit, with long texts cut; the last one says how many are left out."""
    fitting: list[FieldError] = []
    left_bytes = MAX_FIELDS_BYTES
    for place, (field, reason) in enumerate(fields):
        short = FieldError(_encodable(field[:MAX_REASON_CHARS]), _encodable(reason[:MAX_REASON_CHARS]))
        left_bytes -= len(short.field.encode()) + len(short.reason.encode()) + FIELD_OVERHEAD_BYTES
        if left_bytes < 0:
            return [*fitting, FieldError("", f"and {len(fields) - place} more")]
        fitting.append(short)
    return fitting
