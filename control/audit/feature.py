"""The audit log of changes, sealed into a hash chain."""

from functools import partial

from control.audit.servicer import AuditServicer
from control.audit.usecases import seal
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import audit_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    """Return the feature with its parts composed."""
    return Feature(
        services={audit_pb2.DESCRIPTOR.services_by_name["AuditService"]: AuditServicer(deps)},
        sweeps=[Sweep("audit", partial(seal, deps.db), settings.sweep_seconds)],
    )
