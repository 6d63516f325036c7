"""Campaigns of texts."""

from hum.settings.base import Common, constant


class CampaignSettings(Common):
    """How far ahead of the sender campaigns are written, and when they stop by themselves."""

    campaign_window: int = constant(100, "texts of a campaign that are written ahead of the sender", ge=1, le=5000)
    campaign_recipients: int = constant(200_000, "recipients that one campaign may have", ge=1)
