"""Changes of an organization's resources as they happen, for clients that show them."""

from control.changes.servicer import ChangesServicer
from control.feature import Deps, Feature
from control.following import Rests
from hum.settings import ControlSettings
from hum.v1 import changes_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    rests = Rests(settings.recheck_seconds, settings.inbox_look_seconds)
    return Feature(services={changes_pb2.DESCRIPTOR.services_by_name["ChangesService"]: ChangesServicer(deps, rests)})
