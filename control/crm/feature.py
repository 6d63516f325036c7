"""CRM connectors: who they are, what they are told, and the log of that.  Calls and texts do their own look-ups."""

from control.crm import rules
from control.crm.asking import Asking
from control.crm.servicer import CrmConnectorsServicer
from control.crm.syncing import TYPES, Syncing
from control.crm.usecases import Connectors
from control.feature import Deps, Feature, Reader, Sweep
from hum.settings import ControlSettings
from hum.v1 import crm_pb2
from storage.events import Start


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    asking = Asking(deps.db, deps.web, deps.keyring, settings)
    servicer = CrmConnectorsServicer(deps.db, deps.cursors, Connectors(deps.keyring, settings), asking)
    syncing = Syncing(deps.db, asking, settings, settings.public_url)
    return Feature(
        services={crm_pb2.DESCRIPTOR.services_by_name["CrmConnectorsService"]: servicer},
        jobs={rules.SYNC: syncing.tell},
        sweeps=[
            Sweep("crm_syncs", syncing.look, settings.crm_look_seconds),
            Sweep("crm_old", syncing.forget, settings.sweep_seconds),
        ],
        readers=[Reader("crm", Start.NOW, TYPES, syncing.take_events, settings.crm_look_seconds, shares=True)],
    )
