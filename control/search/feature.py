"""Search across what an organization has: contacts, calls, conversations, flows and campaigns."""

from control.feature import Deps, Feature
from control.search.servicer import SearchServicer
from hum.settings import ControlSettings
from hum.v1 import search_pb2


def feature(_settings: ControlSettings, _deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    return Feature(services={search_pb2.DESCRIPTOR.services_by_name["SearchService"]: SearchServicer()})
