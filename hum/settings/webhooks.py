"""The delivery of events to customers' servers."""

from pydantic import field_validator

from hum.settings.base import Common, listed, setting


class WebhookSettings(Common):
    """Webhooks."""

    max_webhooks: int = setting("HUM_MAX_WEBHOOKS", 50, "webhooks of an organization", ge=1)
    webhook_seconds: float = setting(
        "HUM_WEBHOOK_SECONDS", 15.0, "seconds in which a webhook's receiver must have answered", gt=0, le=30
    )
    webhook_retry_seconds: str = setting(
        "HUM_WEBHOOK_RETRY_SECONDS",
        "5,300,1800,7200,18000,36000,50400,72000,86400",
        "seconds before each further attempt at a webhook's delivery, comma-separated",
    )
    webhook_jitter: float = setting(
        "HUM_WEBHOOK_JITTER", 0.2, "the part by which these are longer or shorter, at random", ge=0, lt=1
    )
    webhook_retry_after_seconds: float = setting(
        "HUM_WEBHOOK_RETRY_AFTER_SECONDS", 3600.0, "the longest `Retry-After` of a receiver that is followed", ge=0
    )
    webhook_width: int = setting("HUM_WEBHOOK_WIDTH", 256, "webhooks' requests of one worker at once", ge=4, le=2000)
    webhook_organization_width: int = setting(
        "HUM_WEBHOOK_ORGANIZATION_WIDTH", 64, "of these, requests of one organization", ge=1
    )
    webhook_endpoint_width: int = setting("HUM_WEBHOOK_ENDPOINT_WIDTH", 32, "of these, requests of one webhook", ge=1)
    webhook_dead_width: int = setting(
        "HUM_WEBHOOK_DEAD_WIDTH", 32, "of these, requests of webhooks that keep failing, one of each", ge=1
    )
    webhook_dead_failures: int = setting(
        "HUM_WEBHOOK_DEAD_FAILURES", 5, "failures in a row after which a webhook is left alone for a while", ge=1
    )
    webhook_rest_seconds: float = setting(
        "HUM_WEBHOOK_REST_SECONDS", 5.0, "seconds for which it is left alone, at first; doubles each time", gt=0
    )
    webhook_longest_rest_seconds: float = setting(
        "HUM_WEBHOOK_LONGEST_REST_SECONDS", 300.0, "the longest that this becomes", gt=0
    )
    webhook_lease_seconds: float = setting(
        "HUM_WEBHOOK_LEASE_SECONDS",
        45.0,
        "seconds after which a delivery that a worker has taken, and said no more of, is taken by another",
        gt=30,
    )
    webhook_batch_seconds: float = setting(
        "HUM_WEBHOOK_BATCH_SECONDS",
        0.04,
        "seconds in which webhooks' deliveries and answers are gathered before they are taken and recorded together",
        gt=0,
        le=1,
    )
    webhook_read_seconds: float = setting(
        "HUM_WEBHOOK_READ_SECONDS", 0.1, "seconds between looks for events that webhooks are owed", gt=0, le=60
    )
    webhook_look_seconds: float = setting(
        "HUM_WEBHOOK_LOOK_SECONDS", 1.0, "seconds between looks for deliveries that are due; most are told of", gt=0
    )
    webhook_warn_days: str = setting(
        "HUM_WEBHOOK_WARN_DAYS", "1,3", "days of failures after which an organization is warned, comma-separated"
    )
    webhook_disable_days: float = setting(
        "HUM_WEBHOOK_DISABLE_DAYS", 5.0, "days of failures after which a webhook is disabled", gt=0
    )
    webhook_overlap_hours: float = setting(
        "HUM_WEBHOOK_OVERLAP_HOURS", 24.0, "hours for which a webhook's previous secret still signs", ge=0
    )
    webhook_keep_days: float = setting(
        "HUM_WEBHOOK_KEEP_DAYS", 30.0, "days for which webhooks' deliveries can be looked at and sent again", gt=0
    )
    webhook_late_seconds: float = setting(
        "HUM_WEBHOOK_LATE_SECONDS",
        60.0,
        "seconds for which nobody has looked at events or deliveries that are due, before a worker is not ready",
        gt=0,
    )

    @field_validator("webhook_retry_seconds", "webhook_warn_days")
    @classmethod
    def _numbers(cls, text: str) -> str:
        numbers(text)
        return text

    @property
    def webhook_schedule(self) -> tuple[float, ...]:
        return numbers(self.webhook_retry_seconds)

    @property
    def webhook_warnings(self) -> tuple[float, ...]:
        """The days after which to warn, shortest first."""
        return tuple(sorted(numbers(self.webhook_warn_days)))


def numbers(text: str) -> tuple[float, ...]:
    """Parse `5,300` into numbers.  Raises ValueError."""
    values = tuple(float(word) for word in listed(text))
    if not all(0 < value < 1e9 for value in values):
        raise ValueError("must be positive numbers, comma-separated: 5,300,1800")
    return values
