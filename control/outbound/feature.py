"""The feature of outbound calls: an agent calls a number, now or at a time, with a task."""

from datetime import timedelta

from control.calls.contextupdates import callers
from control.feature import Deps, Feature, Sweep
from control.outbound.dialdecision import OutboundLimits
from control.outbound.dialler import CallDialler, DialLimits
from control.outbound.ingress import PlacedCallsServicer
from control.outbound.orders import Orders
from control.outbound.servicer import OutboundServicer
from hum.settings import ControlSettings
from hum.v1 import outbound_pb2, runtime_pb2
from storage import outbound_limits

#: An organization's live calls at which no further one is placed for it.
OUTBOUND_LIVE = 100
#: Seconds after its time in which a call may still be placed; later it fails.
OUTBOUND_PATIENCE_SECONDS = 6 * 3600.0
#: Seconds between polls for calls to place.
OUTBOUND_SECONDS = 0.25
#: How long an organization at a limit is passed over.
OUTBOUND_PAUSE_SECONDS = 1.0
#: Calls that one worker asks the carrier for at once.
OUTBOUND_WIDTH = 16
#: Seconds before a carrier that can't be reached is asked for a call again.
DIAL_RETRY_SECONDS = 5.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = OutboundLimits(
        live_calls=OUTBOUND_LIVE,
        a_day=settings.outbound_per_day,
        a_day_to_one=settings.outbound_per_number,
        patience=timedelta(seconds=OUTBOUND_PATIENCE_SECONDS),
        pause_seconds=OUTBOUND_PAUSE_SECONDS,
    )
    paces = settings.account_paces
    dial_limits = DialLimits(
        calls_per_second=paces.default,
        of_accounts=paces.of,
        our_account=settings.twilio_account_sid,
        width=OUTBOUND_WIDTH,
        pause_seconds=OUTBOUND_SECONDS,
        retry_seconds=DIAL_RETRY_SECONDS,
        request_seconds=settings.carrier_seconds,
        look_up=timedelta(seconds=settings.carrier_look_seconds),
        ring_slack_seconds=settings.ring_slack_seconds,
        silent=timedelta(seconds=settings.link_silent_seconds),
    )
    carrier = deps.clients.carrier
    dialler = CallDialler(deps.calls_db, carrier, settings.public_url, dial_limits, limits)
    orders = Orders(limits, settings.countries)
    return Feature(
        services={
            outbound_pb2.DESCRIPTOR.services_by_name["OutboundService"]: OutboundServicer(deps, orders),
            runtime_pb2.DESCRIPTOR.services_by_name["PlacedCallsService"]: PlacedCallsServicer(
                deps.calls_db, deps.bus, carrier, settings, callers(settings, deps)
            ),
        },
        sweeps=[
            Sweep("outbound_calls", dialler.place_due, OUTBOUND_SECONDS, due=outbound_limits.due_seconds),
            Sweep("outbound_attempts", dialler.look_up_unconfirmed_attempts, settings.sweep_seconds),
        ],
    )
