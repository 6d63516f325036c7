"""The feature of triggers: addresses to which other systems post their events."""

from datetime import timedelta
from functools import partial

from control.base.rates import Rates
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.feature import Deps, Feature, Sweep
from control.triggers.ingress import HooksIngressServicer, TriggerBounds
from control.triggers.jobs import prune
from control.triggers.servicer import TriggersServicer
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2, triggers_pb2

#: Triggers that an organization may have.
MAX_TRIGGERS = 100
#: Seconds by which the time of a signed request may differ from ours.
TRIGGER_TOLERANCE_SECONDS = 300.0
#: The largest body that is also in its event.
TRIGGER_EVENT_BYTES = 16 << 10
#: Days before the raw body of what a trigger received is deleted; sooner where the organization keeps less.
TRIGGER_BODY_DAYS = 30.0
#: Days before it is forgotten that a trigger received something: until then a repetition is known.
TRIGGER_DELIVERY_DAYS = 90.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    bounds = TriggerBounds(
        trigger=Rates(settings.trigger_rate_per_second, settings.trigger_rate_burst),
        organization=Rates(settings.organization_rate_per_second, settings.organization_rate_burst),
        unknown=deps.boundary.unknown,
        tolerance_seconds=TRIGGER_TOLERANCE_SECONDS,
        event_bytes=TRIGGER_EVENT_BYTES,
        day_bytes=settings.trigger_day_bytes,
    )
    concurrency = ConcurrencyLimits(settings.organization_requests, settings.organization_wait_seconds)
    return Feature(
        services={
            triggers_pb2.DESCRIPTOR.services_by_name["TriggersService"]: TriggersServicer(
                deps.cursors, deps.keyring, settings.public_url, MAX_TRIGGERS
            ),
            runtime_pb2.DESCRIPTOR.services_by_name["HooksIngressService"]: HooksIngressServicer(
                deps.db, deps.keyring, concurrency, bounds
            ),
        },
        sweeps=[
            Sweep(
                "trigger_deliveries",
                partial(
                    prune,
                    deps.db,
                    timedelta(days=TRIGGER_BODY_DAYS),
                    timedelta(days=TRIGGER_DELIVERY_DAYS),
                ),
                settings.retention_seconds,
            )
        ],
    )
