"""Errors in Stripe's wording."""

from collections.abc import Mapping
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


class CardError(StripeApiError):
    """A payment that is refused, or needs an action of the card's holder."""

    MESSAGES: Mapping[str, str] = {
        "card_declined": "Your card was declined.",
        "subscription_payment_intent_requires_action": (
            "Payment for this subscription requires additional user action before it can be completed successfully. "
            "Payment can be completed using the PaymentIntent associated with `subscription.latest_invoice`."
        ),
    }

    def __init__(self, code: str) -> None:
        super().__init__(self.MESSAGES[code], code=code, status=402)
        self.type = "card_error"

    def body(self) -> dict[str, Any]:
        body = super().body()
        body["error"]["doc_url"] = f"https://docs.stripe.com/error-codes/{str(self.code).replace('_', '-')}"
        if self.code == "card_declined":
            body["error"]["decline_code"] = "generic_decline"
        return body


class IdempotencyError(StripeApiError):
    """The key was used with other parameters, or for another request."""

    def __init__(self) -> None:
        super().__init__(
            "Keys for idempotent requests can only be used with the same parameters they were first used with."
        )
        self.type = "idempotency_error"
