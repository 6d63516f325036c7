"""The feature `billing`: its services, and the sweeps of plans, subscriptions, limits and meters."""

from control.billing.account import Accounts
from control.billing.ingress import BillingIngressServicer
from control.billing.metering import Metering
from control.billing.servicer import Billing, BillingServicer
from control.billing.sweeps import LimitWarner, PlanWriter
from control.billing.usecases import StripeRequests
from control.boundary.budget import Budget, BudgetLimits
from control.feature import Deps, Feature, Sweep
from hum import planfile
from hum.settings import ControlSettings
from hum.v1 import billing_pb2, runtime_pb2

#: Seconds between polls for subscriptions that changed at Stripe.
BILLING_SYNC_SECONDS = 1.0
#: An organization's requests that ask Stripe.
STRIPE_BUDGET = BudgetLimits(
    burst=20,
    per_second=0.2,
    in_flight=2,
    what="Too many requests about plans and payments from your organization",
)
#: Seconds between polls for organizations that are near a limit.
BILLING_WATCH_SECONDS = 15.0

SERVICE = billing_pb2.DESCRIPTOR.services_by_name["BillingService"]
INGRESS = runtime_pb2.DESCRIPTOR.services_by_name["BillingIngressService"]


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    payments = deps.clients.payments
    if payments is None:
        writer = PlanWriter(deps.db, None)
        return Feature(
            services={SERVICE: BillingServicer(deps.db, None), INGRESS: BillingIngressServicer(None)},
            sweeps=[Sweep("plans", writer.write, BILLING_WATCH_SECONDS)],
        )
    plans = planfile.require(settings.plans_file)
    accounts = Accounts(deps.db, payments, plans, settings)
    requests = StripeRequests(deps.db, payments, plans, settings.public_url)
    budget = Budget(STRIPE_BUDGET, settings.organization_wait_seconds)
    return Feature(
        services={
            SERVICE: BillingServicer(deps.db, Billing(plans, accounts, requests, budget)),
            INGRESS: BillingIngressServicer(accounts),
        },
        sweeps=[
            Sweep("plans", PlanWriter(deps.db, plans).write, BILLING_WATCH_SECONDS),
            Sweep("subscriptions", accounts.fetch_due, BILLING_SYNC_SECONDS),
            Sweep("plan_limits", LimitWarner(deps.db).warn_next, BILLING_WATCH_SECONDS),
            Sweep("meters", Metering(deps.db, payments, plans, settings).report_due, settings.meter_seconds),
        ],
    )
