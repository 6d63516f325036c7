"""Campaigns: a text to many contacts, each once, at a limited rate."""

from functools import partial

from control.campaigns.dispatching import Dispatcher
from control.campaigns.halting import CampaignLimits
from control.campaigns.servicer import CampaignServicer
from control.feature import Deps, Feature, Sweep
from control.texts.paces import Paces
from control.usage.pricefiles import load
from hum.settings import ControlSettings
from hum.v1 import campaigns_pb2
from storage import campaigns

#: Seconds between polls for texts of campaigns to write.
CAMPAIGN_SECONDS = 0.5
#: Share of a campaign's latest texts at which it is paused when mobile carriers filtered so many as unwanted
#: (30007).
CAMPAIGN_FILTERED_SHARE = 0.05
#: Filtered texts from which on that share counts.
CAMPAIGN_FILTERED_LEAST = 10


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    limits = CampaignLimits(
        window=settings.campaign_window,
        recipients=settings.campaign_recipients,
        filtered_share=CAMPAIGN_FILTERED_SHARE,
        filtered_least=CAMPAIGN_FILTERED_LEAST,
        countries=settings.text_countries,
    )
    dispatcher = Dispatcher(deps.db, limits)
    paces = Paces(*settings.text_paces, settings.twilio_account_sid)
    servicer = CampaignServicer(deps.cursors, limits, paces, partial(load, settings.prices))
    return Feature(
        services={campaigns_pb2.DESCRIPTOR.services_by_name["CampaignService"]: servicer},
        sweeps=[Sweep("campaigns", dispatcher.dispatch, CAMPAIGN_SECONDS, due=campaigns.due_seconds)],
    )
