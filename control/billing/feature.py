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

SERVICE = billing_pb2.DESCRIPTOR.services_by_name["BillingService"]
INGRESS = runtime_pb2.DESCRIPTOR.services_by_name["BillingIngressService"]


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    payments = deps.outside.payments
    if payments is None:
        writer = PlanWriter(deps.db, None)
        return Feature(
            services={SERVICE: BillingServicer(deps.db, None), INGRESS: BillingIngressServicer(None)},
            sweeps=[Sweep("plans", writer.write, settings.billing_watch_seconds)],
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
            Sweep("plans", PlanWriter(deps.db, plans).write, settings.billing_watch_seconds),
            Sweep("subscriptions", accounts.fetch_due, settings.billing_sync_seconds),
            Sweep("plan_limits", Watch(deps.db).look, settings.billing_watch_seconds),
            Sweep("meters", Metering(deps.db, payments, plans, settings).report_due, settings.meter_seconds),
        ],
    )
