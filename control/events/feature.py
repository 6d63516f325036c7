"""Events: what happened, for clients that catch up by polling."""

from control.events.servicer import EventsServicer
from control.feature import Deps, Feature
from hum.settings import ControlSettings
from hum.v1 import events_pb2


def feature(_: ControlSettings, __: Deps) -> Feature:
    return Feature(services={events_pb2.DESCRIPTOR.services_by_name["EventsService"]: EventsServicer()})
