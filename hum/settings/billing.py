"""Billing, with Stripe."""

from pathlib import Path

from pydantic import field_validator

from hum.network import base_url
from hum.settings.base import Common, constant, listed, setting


class StripeWebhookSettings(Common):
    """Stripe's webhooks at the gateway."""

    stripe_webhook_secret: str = setting(
        "STRIPE_WEBHOOK_SECRET",
        "",
        "signing secret of Stripe's webhook endpoint, whsec_...; comma-separated while rotating; unset: `/stripe/webhook` is 404",
    )

    @property
    def stripe_webhook_secrets(self) -> tuple[str, ...]:
        return listed(self.stripe_webhook_secret)


class BillingSettings(Common):
    """Plans, subscriptions, and reports to Stripe."""

    stripe_api_key: str = setting(
        "STRIPE_API_KEY", "", "secret key of Stripe's API; unset: there are no plans, and nothing is limited by one"
    )
    stripe_api_base: str = constant("https://api.stripe.com", "URL of Stripe's API")
    stripe_seconds: float = constant(15.0, "seconds to wait for an answer of Stripe's", gt=0)
    stripe_retries: int = constant(
        2, "how often a request to Stripe is repeated at once when it gets no answer", ge=0, le=10
    )
    stripe_look_seconds: float = constant(
        60.0,
        "seconds after an unanswered request for a new customer before Stripe is asked whether it exists",
        gt=0,
    )
    plans_file: Path | None = setting("HUM_PLANS_FILE", None, "JSON file with the plans; unset: the packaged ones")
    billing_retry_seconds: float = constant(
        30.0,
        "seconds before a subscription that could not be fetched is fetched again",
        gt=0,
    )
    meter_seconds: float = constant(60.0, "seconds between looks for hours of usage to tell Stripe's meters", gt=0)

    @field_validator("stripe_api_base")
    @classmethod
    def _api_url(cls, url: str) -> str:
        return base_url(url, "http", "https")
