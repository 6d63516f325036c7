"""The feature of outbound calls: an agent calls a number, now or at a time, with a task."""

from datetime import timedelta

from control.calls.informing import callers
from control.feature import Deps, Feature, Sweep
from control.outbound.dialling import Dialler, Pace
from control.outbound.ingress import PlacedCallsServicer
from control.outbound.orders import Orders
from control.outbound.rules import Limits
from control.outbound.servicer import OutboundServicer
from hum.settings import ControlSettings
from hum.v1 import outbound_pb2, runtime_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = Limits(
        live_calls=settings.outbound_live,
        a_day=settings.outbound_per_day,
        a_day_to_one=settings.outbound_per_number,
        patience=timedelta(seconds=settings.outbound_patience_seconds),
        pause_seconds=settings.outbound_pause_seconds,
    )
    pace = Pace(
        calls_per_second=settings.calls_per_second,
        of_accounts=settings.account_paces,
        our_account=settings.twilio_account_sid,
        width=settings.outbound_width,
        pause_seconds=settings.outbound_seconds,
        retry_seconds=settings.dial_retry_seconds,
        request_seconds=settings.carrier_seconds,
        look=timedelta(seconds=settings.carrier_look_seconds),
        ring_slack_seconds=settings.ring_slack_seconds,
        silent=timedelta(seconds=settings.link_silent_seconds),
    )
    carrier = deps.outside.carrier
    dialler = Dialler(deps.calls_db, carrier, settings.public_url, pace, limits)
    orders = Orders(limits, settings.countries)
    return Feature(
        services={
            outbound_pb2.DESCRIPTOR.services_by_name["OutboundService"]: OutboundServicer(deps, orders),
            runtime_pb2.DESCRIPTOR.services_by_name["PlacedCallsService"]: PlacedCallsServicer(
                deps.calls_db, deps.bus, carrier, settings, callers(settings, deps)
            ),
        },
        sweeps=[
            Sweep("outbound_calls", dialler.place_due, settings.outbound_seconds),
            Sweep("outbound_attempts", dialler.sweep, settings.sweep_seconds),
        ],
    )
