"""The feature of triggers: addresses to which other systems post their events."""

from datetime import timedelta
from functools import partial

from control.base.rates import Rates
from control.boundary.concurrency import ConcurrencyLimits
from control.feature import Deps, Feature, Sweep
from control.triggers.ingress import Bounds, HooksIngressServicer
from control.triggers.jobs import forget
from control.triggers.servicer import TriggersServicer
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2, triggers_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    bounds = Bounds(
        trigger=Rates(settings.trigger_rate_per_second, settings.trigger_rate_burst),
        organization=Rates(settings.organization_rate_per_second, settings.organization_rate_burst),
        unknown=deps.boundary.unknown,
        tolerance_seconds=settings.trigger_tolerance_seconds,
        event_bytes=settings.trigger_event_bytes,
        day_bytes=settings.trigger_day_bytes,
    )
    concurrency = ConcurrencyLimits(settings.organization_requests, settings.organization_wait_seconds)
    return Feature(
        services={
            triggers_pb2.DESCRIPTOR.services_by_name["TriggersService"]: TriggersServicer(
                deps.cursors, deps.keyring, settings.public_url, settings.max_triggers
            ),
            runtime_pb2.DESCRIPTOR.services_by_name["HooksIngressService"]: HooksIngressServicer(
                deps.db, deps.keyring, concurrency, bounds
            ),
        },
        sweeps=[
            Sweep(
                "trigger_deliveries",
                partial(
                    forget,
                    deps.db,
                    timedelta(days=settings.trigger_body_days),
                    timedelta(days=settings.trigger_delivery_days),
                ),
                settings.retention_seconds,
            )
        ],
    )
