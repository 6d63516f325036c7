"""Creating, changing and deleting connectors, and rotating their secrets."""

from datetime import timedelta
from uuid import UUID

from control.base import egress, standardwebhooks
from control.base.egress import Policy
from control.crm import connectorwire
from control.crm.client import new_secret, place
from hum import ids
from hum.contract.errors import FieldError, InUse, InvalidRequest, PlanLimit
from hum.secrets import Keyring
from hum.settings.crm import CrmSettings
from hum.v1 import crm_pb2 as pb
from storage import crm, http_tools
from storage.crm import ConnectorConfig, ConnectorRow
from storage.db import Tx

#: Hours in which a CRM connector's old secret is still tried.
CRM_OVERLAP_HOURS = 24.0


class Connectors:
    def __init__(self, keyring: Keyring, settings: CrmSettings, policy: Policy) -> None:
        self._keyring, self._settings, self._policy = keyring, settings, policy

    async def create(self, tx: Tx, org: UUID, connector: pb.CrmConnector) -> tuple[ConnectorRow, str]:
        """Create a connector; return it with its secret.  Raises InvalidRequest, PlanLimit."""
        values = ConnectorConfig(
            name=connector.name,
            base_url=connectorwire.base_url(connector.base_url, self._policy),
            enabled=connector.enabled if connector.HasField("enabled") else True,
            timeout_ms=connector.timeout_ms if connector.HasField("timeout_ms") else connectorwire.DEFAULT_TIMEOUT_MS,
            create_contacts=connector.create_contacts,
            sync_calls=connector.sync_calls if connector.HasField("sync_calls") else True,
            sync_conversations=connector.sync_conversations,
        )
        order = await crm.order(tx)
        if len(order) >= self._settings.crm_connectors:
            raise PlanLimit(f"The organization has {len(order)} CRM connectors, which is the limit.")
        id = ids.new()
        secret = _secret(connector.secret if connector.HasField("secret") else None, "secret")
        await crm.create(tx, id, values, self._keyring.seal(secret.encode(), place(id, org)))
        await _move(tx, order, id, connector.position if connector.HasField("position") else None)
        return await crm.get(tx, id), secret

    async def change(self, tx: Tx, id: UUID, connector: pb.CrmConnector, paths: set[str]) -> ConnectorRow:
        """Set the fields in `paths`, unset ones to their defaults.  Raises NotFound, InvalidRequest."""
        order = await crm.order(tx)
        before = await crm.get(tx, id, lock=True)
        values = ConnectorConfig(
            name=connector.name if "name" in paths else before.name,
            base_url=connectorwire.base_url(connector.base_url, self._policy)
            if "base_url" in paths
            else before.base_url,
            enabled=_flag(connector, "enabled", paths, before.enabled, default=True),
            timeout_ms=(connector.timeout_ms or connectorwire.DEFAULT_TIMEOUT_MS)
            if "timeout_ms" in paths
            else before.timeout_ms,
            create_contacts=_flag(connector, "create_contacts", paths, before.create_contacts, default=False),
            sync_calls=_flag(connector, "sync_calls", paths, before.sync_calls, default=True),
            sync_conversations=_flag(connector, "sync_conversations", paths, before.sync_conversations, default=False),
        )
        await crm.change(tx, id, values)
        if egress.origin(values.base_url) != egress.origin(before.base_url):
            # Another server must not receive the secret that the previous one trusts: it needs one from a rotation.
            await crm.rotate(tx, id, self._keyring.seal(new_secret().encode(), place(id, before.org_id)), timedelta())
        if "position" in paths:
            await _move(tx, order, id, connector.position if connector.HasField("position") else None)
        if values.base_url != before.base_url or (values.enabled and not before.enabled):
            await crm.recover(tx, id)
        return await crm.get(tx, id)

    async def rotate(self, tx: Tx, org: UUID, id: UUID, own_secret: str | None = None) -> tuple[ConnectorRow, str]:
        """Give a connector a new secret; the old one stays valid for a while.  `own_secret`: the customer's; None: generate one.

        Raises NotFound, InvalidRequest.
        """
        await crm.get(tx, id, lock=True)
        secret, overlap = _secret(own_secret, "secret"), timedelta(hours=CRM_OVERLAP_HOURS)
        await crm.rotate(tx, id, self._keyring.seal(secret.encode(), place(id, org)), overlap)
        return await crm.get(tx, id), secret


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a connector.  Raises NotFound, InUse."""
    order = await crm.order(tx)
    if (flow := await http_tools.bound_by(tx, id)) is not None:
        raise InUse(f"The flow {flow!r} asks this connector before its calls; remove it there first.")
    await crm.delete(tx, id)
    await crm.reorder(tx, [connector for connector in order if connector != id])


def _secret(own: str | None, field: str) -> str:
    """Return the customer's secret, or a generated one.  Raises InvalidRequest."""
    if own is None:
        return new_secret()
    if standardwebhooks.key(own) is None:
        raise InvalidRequest([FieldError(field, "must be `whsec_` and 24 to 64 bytes in base64")])
    return own


def _flag(connector: pb.CrmConnector, name: str, paths: set[str], before: bool, *, default: bool) -> bool:
    if name not in paths:
        return before
    return bool(getattr(connector, name)) if connector.HasField(name) else default  # type: ignore[arg-type]  # a field


async def _move(tx: Tx, order: list[UUID], id: UUID, position: int | None) -> None:
    """Move a connector to a position, from 1; None: to the end."""
    connectors = [connector for connector in order if connector != id]
    connectors.insert(len(connectors) if position is None else position - 1, id)
    await crm.reorder(tx, connectors)
