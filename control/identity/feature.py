"""The feature `identity`: people, organizations, keys, sessions, and the commands of `hum admin`."""

from datetime import timedelta
from functools import partial

from control.boundary import REVOKED
from control.calls.live import LiveCall
from control.clients.twilio import Webhooks
from control.feature import Deps, Feature, Sweep
from control.identity.grants import Onboarding
from control.identity.servicer import AdminServicer, IdentityServicer
from control.identity.signin import SignInServicer
from control.usage.pricefiles import load
from hum.settings import ControlSettings
from hum.v1 import identity_pb2, runtime_pb2
from storage import idempotency, sessions


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    services = runtime_pb2.DESCRIPTOR.services_by_name
    onboarding = Onboarding(settings.onboarding_mode, settings.organizations_per_person)
    live = partial(LiveCall, deps.db, deps.bus, deps.stopping)
    admin = AdminServicer(
        deps.db,
        deps.cursors,
        deps.clients.carrier,
        Webhooks.at(settings.public_url),
        live,
        partial(load, settings.prices),
        deps.keyring,
        deps.files,
        deps.clients.payments,
    )

    async def prune() -> None:
        async with deps.db.system() as tx:
            await idempotency.prune(tx, timedelta(hours=settings.idempotency_hours))
            await sessions.prune(tx)

    return Feature(
        services={
            identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]: IdentityServicer(
                deps.cursors, onboarding, timedelta(seconds=settings.linking_seconds), settings.stand_ins
            ),
            services["SignInService"]: SignInServicer(deps.db, settings),
            services["AdminService"]: admin,
        },
        channels=[REVOKED],
        sweeps=[Sweep("sessions", prune, settings.sweep_seconds)],
    )
