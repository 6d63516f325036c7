"""The feature of numbers: registration, purchase, configuration, release."""

from datetime import timedelta
from functools import partial

from control.boundary.budget import Budget, BudgetLimits
from control.clients.twilio import Webhooks
from control.feature import Deps, Feature, Sweep
from control.numbers import usecases
from control.numbers.purchases import NumberQuota, Purchases
from control.numbers.servicer import NumbersServicer
from hum.settings import ControlSettings
from hum.v1 import numbers_pb2

#: An organization's requests to the carrier about numbers.
CARRIER_BUDGET = BudgetLimits(
    burst=60,
    per_second=0.5,
    in_flight=2,
    what="Too many requests about numbers at the carrier from your organization",
)


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    carrier, webhooks = deps.clients.carrier, Webhooks.at(settings.public_url)
    quota = NumberQuota(settings.numbers_per_organization, settings.numbers_bought_per_day)
    purchases = Purchases(deps.db, carrier, webhooks, timedelta(hours=settings.idempotency_hours), quota)
    budget = Budget(CARRIER_BUDGET, settings.organization_wait_seconds)
    servicer = NumbersServicer(deps.db, deps.cursors, carrier, webhooks, purchases, budget)
    abandoned = timedelta(seconds=settings.carrier_look_seconds)
    return Feature(
        services={numbers_pb2.DESCRIPTOR.services_by_name["NumbersService"]: servicer},
        sweeps=[
            Sweep("purchases", partial(purchases.finish_abandoned_purchases, abandoned), settings.sweep_seconds),
            Sweep(
                "releases",
                partial(usecases.finish_abandoned_releases, deps.db, carrier, abandoned),
                settings.sweep_seconds,
            ),
        ],
    )
