"""Errors that carry their own status.

An expected business outcome is a value.  A refusal is a `RequestRefused`: it names its gRPC code as a string, so that rules
and storage can raise it without importing grpc, and a stable reason, which REST maps to a status
(`gateway/errors.py`).  Any other exception that escapes is a bug and becomes INTERNAL at the boundary.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One bad field: its path as the client wrote it, and what is wrong with it."""

    field: str
    reason: str


class RequestRefused(Exception):  # noqa: N818 - a refusal is no fault of ours
    """A request that was understood and is refused.  Subclasses set the code and the reason."""

    code: ClassVar[str] = "FAILED_PRECONDITION"
    reason: str = "FAILED_PRECONDITION"
    fields: Sequence[FieldError] = ()
    metadata: Mapping[str, str] = {}

    def __init__(self, message: str = "", **metadata: str) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if metadata:
            self.metadata = metadata


class InvalidRequest(RequestRefused):
    """The request has bad fields."""

    code, reason = "INVALID_ARGUMENT", "INVALID_REQUEST"

    def __init__(self, fields: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{field.field}: {field.reason}" for field in fields))
        self.fields = fields


class InvalidCursor(RequestRefused):
    """The cursor is invalid or belongs to another list."""

    code, reason = "INVALID_ARGUMENT", "INVALID_CURSOR"


class SessionRequired(RequestRefused):
    """The session is over or unknown; sign in again at /auth/login."""

    code, reason = "UNAUTHENTICATED", "SESSION_REQUIRED"


class ApiKeyRequired(RequestRefused):
    """The API key is unknown, revoked or expired; an admin can make a new one."""

    code, reason = "UNAUTHENTICATED", "API_KEY_REQUIRED"


class EmailUnverified(RequestRefused):
    """The identity provider has not verified this e-mail address."""

    code, reason = "FAILED_PRECONDITION", "EMAIL_UNVERIFIED"


class PlanLimit(RequestRefused):
    """A limit of your plan or of this deployment is reached."""

    code, reason = "FAILED_PRECONDITION", "PLAN_LIMIT"


class BillingRequired(RequestRefused):
    """Your plan does not allow this."""

    code, reason = "FAILED_PRECONDITION", "BILLING_REQUIRED"


class PaymentError(RequestRefused):
    """The payment provider rejected the request or did not respond."""

    code, reason = "UNAVAILABLE", "PAYMENT_ERROR"

    #: Whether it may have done what was asked.
    is_ambiguous = True


class PaymentRefused(PaymentError):  # noqa: N818 - named for what happened, like the others
    """The payment provider rejected the request: it has done nothing."""

    is_ambiguous = False


class PaymentDeclined(PaymentRefused):
    """The payment was declined, or its holder has to confirm it."""


class Forbidden(RequestRefused):
    """Your role does not allow this."""

    code, reason = "PERMISSION_DENIED", "FORBIDDEN"


class InsufficientScope(RequestRefused):
    """The API key does not have the required scope."""

    code, reason = "PERMISSION_DENIED", "INSUFFICIENT_SCOPE"


class NoMembership(RequestRefused):
    """You belong to no organization."""

    code, reason = "PERMISSION_DENIED", "NO_MEMBERSHIP"


class NotFound(RequestRefused):
    """Not found."""

    code, reason = "NOT_FOUND", "NOT_FOUND"


class NotAtCarrier(RequestRefused):
    """The carrier account does not hold this number."""

    code, reason = "NOT_FOUND", "NOT_AT_CARRIER"


class AlreadyExists(RequestRefused):
    """It already exists."""

    code, reason = "ALREADY_EXISTS", "ALREADY_EXISTS"


class Conflict(RequestRefused):
    """Another request is changing the same resource; try again."""

    code, reason = "ABORTED", "CONFLICT"


class OrganizationChanged(RequestRefused):
    """The session works in another organization than the request names; ask `GET /api/me` in which."""

    code, reason = "ABORTED", "ORGANIZATION_CHANGED"


class InUse(RequestRefused):
    """It is still in use."""

    code, reason = "FAILED_PRECONDITION", "IN_USE"


class InvalidState(RequestRefused):
    """Its current state does not allow this."""

    code, reason = "FAILED_PRECONDITION", "INVALID_STATE"


class TimeTaken(RequestRefused):
    """This time is taken; look for another one."""

    code, reason = "FAILED_PRECONDITION", "TIME_TAKEN"


class HoldExpired(RequestRefused):
    """The time is not held any more; hold it again."""

    code, reason = "FAILED_PRECONDITION", "HOLD_EXPIRED"


class ConversationClosed(RequestRefused):
    """The conversation is closed; reopen it first."""

    code, reason = "FAILED_PRECONDITION", "CONVERSATION_CLOSED"


class IdempotencyMismatch(RequestRefused):
    """This Idempotency-Key was used with a different request."""

    code, reason = "ALREADY_EXISTS", "IDEMPOTENCY_MISMATCH"


class IdempotencyInProgress(RequestRefused):
    """A request with this Idempotency-Key is in progress; try again later."""

    code, reason = "ABORTED", "IDEMPOTENCY_IN_PROGRESS"


class RateLimited(RequestRefused):
    """Too many requests; try again later."""

    code, reason = "RESOURCE_EXHAUSTED", "RATE_LIMITED"


class Unavailable(RequestRefused):
    """The service is not available at the moment; try again."""

    code, reason = "UNAVAILABLE", "UNAVAILABLE"


class NotStoredYet(Unavailable):
    """The recording is still on its way to the store, from the machine that recorded it; try again in a moment."""

    reason = "NOT_STORED_YET"


class StoreUnavailable(Unavailable):
    """The store of recordings does not answer at the moment; try again."""

    reason = "STORE_UNAVAILABLE"


class CarrierError(RequestRefused):
    """The carrier rejected the request or did not respond."""

    code, reason = "UNAVAILABLE", "CARRIER_ERROR"


class CarrierBusy(CarrierError):  # noqa: N818 - named for what happened, like the others
    """The carrier rejected the request because of its rate limit; retry after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float, carrier_code: str = "20429") -> None:
        super().__init__("the carrier's rate limit is reached", carrier_status="429", carrier_code=carrier_code)
        self.retry_after_seconds = retry_after_seconds


def error_codes() -> list[str]:
    """List the error codes of this module's refusals, such as `not_found`."""
    refusals = (kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, RequestRefused))
    return sorted({refusal.reason.lower() for refusal in refusals})
