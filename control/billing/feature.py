"""The feature `billing`: its services, and the sweeps of plans, subscriptions, limits and meters."""

from control.billing.account import Accounts
from control.billing.ingress import BillingIngressServicer
from control.billing.metering import Metering
from control.billing.servicer import Billing, BillingServicer
from control.billing.usecases import Desk
from control.billing.watching import PlanWriter, Watch
from control.feature import Deps, Feature, Sweep
from hum import planfile
from hum.settings import ControlSettings
from hum.v1 import billing_pb2, runtime_pb2

#: Seconds between looks for subscriptions that changed at Stripe.
BILLING_SYNC_SECONDS = 1.0
#: Seconds between looks for organizations that are near a limit.
BILLING_WATCH_SECONDS = 15.0

SERVICE = billing_pb2.DESCRIPTOR.services_by_name["BillingService"]
INGRESS = runtime_pb2.DESCRIPTOR.services_by_name["BillingIngressService"]


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    payments = deps.outside.payments
    if payments is None:
        writer = PlanWriter(deps.db, None)
        return Feature(
            services={SERVICE: BillingServicer(deps.db, None), INGRESS: BillingIngressServicer(None)},
            sweeps=[Sweep("plans", writer.write, BILLING_WATCH_SECONDS)],
        )
    plans = planfile.require(settings.plans_file)
    accounts = Accounts(deps.db, payments, plans, settings)
    desk = Desk(deps.db, payments, plans, settings.public_url)
    return Feature(
        services={
            SERVICE: BillingServicer(deps.db, Billing(plans, accounts, desk)),
            INGRESS: BillingIngressServicer(accounts),
        },
        sweeps=[
            Sweep("plans", PlanWriter(deps.db, plans).write, BILLING_WATCH_SECONDS),
            Sweep("subscriptions", accounts.fetch_due, BILLING_SYNC_SECONDS),
            Sweep("plan_limits", Watch(deps.db).look, BILLING_WATCH_SECONDS),
            Sweep("meters", Metering(deps.db, payments, plans, settings).report_due, settings.meter_seconds),
        ],
    )
