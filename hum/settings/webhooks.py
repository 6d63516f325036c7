"""The delivery of events to customers' servers."""

from hum.settings.base import Common, constant


class WebhookSettings(Common):
    """Webhooks."""

    max_webhooks: int = constant(50, "webhooks of an organization", ge=1)
