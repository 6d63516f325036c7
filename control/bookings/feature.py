"""The organization's own book: resources, services, holds and appointments."""

from functools import partial

from control.bookings import reserving
from control.bookings.appointment_servicer import AppointmentsServicer
from control.bookings.servicer import BookingsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import bookings_pb2

#: Seconds between sweeps that end holds.  A hold that is over is no obstacle before that.
EXPIRE_SECONDS = 15.0


def feature(_: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    services = bookings_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={
            services["BookingsService"]: BookingsServicer(deps.cursors),
            services["AppointmentsService"]: AppointmentsServicer(deps.cursors),
        },
        sweeps=[Sweep("holds", partial(reserving.expire, deps.db), EXPIRE_SECONDS)],
    )
