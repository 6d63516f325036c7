"""The organization's own book: resources, services, holds and appointments, and the tools with which agents book."""

from functools import partial

from control.bookings import following, reserving
from control.bookings.appointment_servicer import AppointmentsServicer
from control.bookings.searching import TimeSearch
from control.bookings.servicer import BookingsServicer
from control.bookings.tools import BookingTools, catalog
from control.feature import Deps, Feature, Reader, Sweep
from hum.computing import ComputingTurns
from hum.settings import ControlSettings
from hum.v1 import bookings_pb2
from storage.events import ReaderStart

#: Seconds between sweeps that end holds and renew those of live calls.  A hold that is over is no obstacle before that.
EXPIRE_SECONDS = 15.0
#: Seconds after which the holds of a call that has ended are free.
FOLLOW_SECONDS = 2.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    search = TimeSearch(ComputingTurns())
    services = bookings_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={
            services["BookingsService"]: BookingsServicer(deps.cursors),
            services["AppointmentsService"]: AppointmentsServicer(deps.cursors, search),
        },
        sweeps=[Sweep("holds", partial(reserving.expire, deps.db), EXPIRE_SECONDS)],
        readers=[
            Reader("bookings", ReaderStart.NOW, following.TYPES, following.follow, FOLLOW_SECONDS, shares=True),
        ],
        tools=BookingTools(deps.db, search, round(settings.tool_seconds * 1000)).all(),
        catalog=catalog,
    )
