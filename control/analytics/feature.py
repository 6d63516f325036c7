"""Analytics: roll-ups of calls, maintained by a reader of their events."""

from control.analytics.servicer import AnalyticsServicer
from control.analytics.usecases import CHANGES, recount
from control.feature import Deps, Feature, Reader
from hum.settings import ControlSettings
from hum.v1 import analytics_pb2
from storage import analytics
from storage.events import ReaderStart


def feature(settings: ControlSettings, _: Deps) -> Feature:
    """Return the feature with its parts composed."""
    return Feature(
        services={analytics_pb2.DESCRIPTOR.services_by_name["AnalyticsService"]: AnalyticsServicer()},
        readers=[
            Reader(
                analytics.READER, ReaderStart.BEGINNING, CHANGES, recount, settings.roll_up_seconds, takes_emptied=True
            )
        ],
    )
