"""Changes of an organization's resources as they happen, for clients that show them."""

from control.changes.servicer import ChangesServicer
from control.changestreams import PollIntervals
from control.feature import Deps, Feature
from hum.settings import ControlSettings
from hum.v1 import changes_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    intervals = PollIntervals(settings.recheck_seconds, settings.inbox_look_seconds)
    return Feature(
        services={changes_pb2.DESCRIPTOR.services_by_name["ChangesService"]: ChangesServicer(deps, intervals)}
    )
