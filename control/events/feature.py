"""The feature `events`: its service, and the sweep of the monthly partitions."""

from functools import partial

from control.events import months
from control.events.servicer import EventsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import events_pb2

#: Seconds between checks of the months of events.
EVENTS_POLL_SECONDS = 300.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    return Feature(
        services={events_pb2.DESCRIPTOR.services_by_name["EventsService"]: EventsServicer()},
        sweeps=[
            Sweep("event_months", partial(months.maintain_months, deps.db, deps.files, settings), EVENTS_POLL_SECONDS)
        ],
    )
