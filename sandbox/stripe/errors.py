"""Errors in Stripe's wording."""

from typing import Any


class StripeApiError(Exception):
    """A request that Stripe refuses."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status, self.type = param, code, status, "invalid_request_error"

    def body(self) -> dict[str, Any]:
        error = {"message": str(self), "type": self.type}
        if self.param is not None:
            error["param"] = self.param
        if self.code is not None:
            error["code"] = self.code
        return {"error": error}


class IdempotencyError(StripeApiError):
    """The key was used with other parameters, or for another request."""

    def __init__(self) -> None:
        super().__init__(
            "Keys for idempotent requests can only be used with the same parameters they were first used with."
        )
        self.type = "idempotency_error"
