"""The feature of usage: entries, their costs, and roll-ups that a reader of the events keeps."""

from control.feature import Deps, Feature, Reader
from control.usage.pricefiles import load
from control.usage.pricetable import BadPrices
from control.usage.servicer import UsageServicer
from control.usage.usecases import CHANGES, count
from hum.refusal import refuse
from hum.settings import ControlSettings
from hum.v1 import usage_pb2 as pb
from storage import usage
from storage.events import ReaderStart


def feature(settings: ControlSettings, _: Deps) -> Feature:
    try:
        prices = load(settings.prices)
    except BadPrices as error:
        refuse(f"HUM_PRICES: {settings.prices} {error}")
    limits = {
        pb.USAGE_QUOTA_KIND_LOOKUPS: settings.lookups_per_day,
        pb.USAGE_QUOTA_KIND_CLIPS: settings.clips_per_day,
        pb.USAGE_QUOTA_KIND_TRIALS: settings.studio_trials_per_day,
        pb.USAGE_QUOTA_KIND_PROPOSALS: settings.studio_proposals_per_day,
        pb.USAGE_QUOTA_KIND_PREVIEWS: settings.studio_previews_per_day,
    }
    return Feature(
        services={pb.DESCRIPTOR.services_by_name["UsageService"]: UsageServicer(limits)},
        readers=[
            Reader(
                usage.READER,
                ReaderStart.BEGINNING,
                CHANGES,
                lambda tx, changed: count(tx, prices, changed),
                settings.roll_up_seconds,
                takes_emptied=True,
            )
        ],
    )
