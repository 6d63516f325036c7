"""Campaigns of texts."""

from decimal import Decimal

from hum.settings.base import Common, setting


class CampaignSettings(Common):
    """How far ahead of the sender campaigns are written, and when they stop by themselves."""

    campaign_seconds: float = setting(
        "HUM_CAMPAIGN_SECONDS", 0.5, "seconds between looks for texts of campaigns to write", gt=0, le=60
    )
    campaign_window: int = setting(
        "HUM_CAMPAIGN_WINDOW", 100, "texts of a campaign that are written ahead of the sender", ge=1, le=5000
    )
    campaign_recipients: int = setting(
        "HUM_CAMPAIGN_RECIPIENTS", 200_000, "recipients that one campaign may have", ge=1
    )
    campaign_filtered_share: float = setting(
        "HUM_CAMPAIGN_FILTERED_SHARE",
        0.05,
        "share of a campaign's latest texts at which it is paused when mobile carriers filtered so many as unwanted (30007)",
        gt=0,
        le=1,
    )
    campaign_filtered_least: int = setting(
        "HUM_CAMPAIGN_FILTERED_LEAST", 10, "filtered texts at which that share is looked at", ge=1
    )
    segment_price: Decimal | None = setting(
        "HUM_SEGMENT_PRICE",
        None,
        "price of a text's segment, like 0.0083, for what campaigns would cost; unset: unknown",
    )
