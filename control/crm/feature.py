"""The feature `crm`: connectors, their log, and the sync of what is over.  Calls and texts run the look-ups."""

from control.base.egress import Policy
from control.crm import connectorwire
from control.crm.client import ConnectorClient
from control.crm.servicer import CrmConnectorsServicer
from control.crm.syncing import TYPES, Syncing
from control.crm.usecases import Connectors
from control.feature import Deps, Feature, Reader, Sweep
from hum.settings import ControlSettings
from hum.v1 import crm_pb2
from storage import crm_syncs
from storage.events import ReaderStart

#: Seconds between polls for reports to CRM connectors.
CRM_POLL_SECONDS = 1.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    connector_client = ConnectorClient(deps.db, deps.web, deps.keyring, settings)
    servicer = CrmConnectorsServicer(
        deps.db, deps.cursors, Connectors(deps.keyring, settings, Policy(settings.egress_networks)), connector_client
    )
    syncing = Syncing(deps.db, connector_client, settings.public_url)
    return Feature(
        services={crm_pb2.DESCRIPTOR.services_by_name["CrmConnectorsService"]: servicer},
        jobs={connectorwire.SYNC: syncing.sync},
        sweeps=[
            Sweep("crm_syncs", syncing.enqueue_due, CRM_POLL_SECONDS, due=crm_syncs.due_seconds),
            Sweep("crm_old", syncing.prune, settings.sweep_seconds),
        ],
        readers=[Reader("crm", ReaderStart.NOW, TYPES, syncing.schedule, CRM_POLL_SECONDS, shares=True)],
    )
