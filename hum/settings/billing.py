"""Billing, with Stripe."""

from pathlib import Path

from pydantic import field_validator

from hum.process.network import base_url
from hum.settings.base import Common, listed, setting


class StripeWebhookSettings(Common):
    """Stripe's webhooks at the gateway."""

    stripe_webhook_secret: str = setting(
        "STRIPE_WEBHOOK_SECRET",
        "",
        "signing secret of Stripe's webhook endpoint, whsec_...; comma-separated while rotating; unset: `/stripe/webhook` is 404",
    )
    stripe_tolerance_seconds: int = setting(
        "HUM_STRIPE_TOLERANCE_SECONDS", 300, "how old the signature of a webhook of Stripe's may be, in seconds", ge=1
    )

    @property
    def stripe_webhook_secrets(self) -> tuple[str, ...]:
        return listed(self.stripe_webhook_secret)


class BillingSettings(Common):
    """Plans, subscriptions, and reports to Stripe."""

    stripe_api_key: str = setting(
        "STRIPE_API_KEY", "", "secret key of Stripe's API; unset: there are no plans, and nothing is limited by one"
    )
    stripe_api_base: str = setting("STRIPE_API_BASE", "https://api.stripe.com", "URL of Stripe's API")
    stripe_seconds: float = setting("HUM_STRIPE_SECONDS", 15.0, "seconds to wait for an answer of Stripe's", gt=0)
    stripe_retries: int = setting(
        "HUM_STRIPE_RETRIES", 2, "how often a request to Stripe is repeated at once when it gets no answer", ge=0, le=10
    )
    stripe_look_seconds: float = setting(
        "HUM_STRIPE_LOOK_SECONDS",
        60.0,
        "seconds after an unanswered request for a new customer before Stripe is asked whether it exists",
        gt=0,
    )
    plans_file: Path | None = setting("HUM_PLANS_FILE", None, "JSON file with the plans; unset: the packaged ones")
    grace_days: float = setting(
        "HUM_BILLING_GRACE_DAYS", 14.0, "days that a plan stays in force while its payment fails", ge=0
    )
    billing_sync_seconds: float = setting(
        "HUM_BILLING_SYNC_SECONDS", 1.0, "seconds between looks for subscriptions that changed at Stripe", gt=0
    )
    billing_retry_seconds: float = setting(
        "HUM_BILLING_RETRY_SECONDS",
        30.0,
        "seconds before a subscription that could not be fetched is fetched again",
        gt=0,
    )
    billing_reconcile_seconds: float = setting(
        "HUM_BILLING_RECONCILE_SECONDS",
        6 * 3600.0,
        "seconds after which each subscription is fetched in any case",
        gt=0,
    )
    billing_watch_seconds: float = setting(
        "HUM_BILLING_WATCH_SECONDS", 15.0, "seconds between looks for organizations that are near a limit", gt=0
    )
    meter_seconds: float = setting(
        "HUM_METER_SECONDS", 60.0, "seconds between looks for hours of usage to tell Stripe's meters", gt=0
    )
    meter_settle_seconds: float = setting(
        "HUM_METER_SETTLE_SECONDS", 600.0, "seconds after the end of an hour before its usage is told to Stripe", ge=0
    )
    meter_repeat_hours: float = setting(
        "HUM_METER_REPEAT_HOURS",
        20.0,
        "hours in which usage that Stripe did not confirm is sent again under its identifier, which Stripe keeps for 24; "
        "later, Stripe is asked first what it has",
        gt=0,
        le=24,
    )

    @field_validator("stripe_api_base")
    @classmethod
    def _api_url(cls, url: str) -> str:
        return base_url(url, "http", "https")
