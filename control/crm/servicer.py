"""CrmConnectorsService (proto/hum/v1/crm.proto)."""

from control.audit.usecases import append_action
from control.base import eventscopes, paging
from control.base.wire import timestamp, value
from control.boundary import ActionContext, TransactionContext
from control.crm import usecases
from control.crm.client import ConnectorClient, ConnectorRequest
from control.crm.connectorwire import ConnectorEvent
from control.crm.usecases import Connectors
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import crm_pb2 as pb
from storage import crm
from storage.crm import ConnectorRow, LogRow
from storage.db import Db

#: What a request to a connector tells, as the scope with which a key may read it elsewhere.
SCOPES = {
    ConnectorEvent.LOOKUP: "contacts:read",
    ConnectorEvent.CREATE: "contacts:read",
    ConnectorEvent.CALL: "calls:read",
    ConnectorEvent.CONVERSATION: "sms:read",
    ConnectorEvent.PING: "",
}


class CrmConnectorsServicer:
    def __init__(
        self, db: Db, cursors: paging.Cursors, connectors: Connectors, connector_client: ConnectorClient
    ) -> None:
        self._db, self._cursors, self._connectors, self._connector_client = db, cursors, connectors, connector_client

    async def ListCrmConnectors(
        self, request: pb.ListCrmConnectorsRequest, ctx: TransactionContext
    ) -> pb.ListCrmConnectorsResponse:
        after = self._cursors.read(request)
        fetched = await crm.page(ctx.tx, (after[0], after[1]) if after else None, paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.position, row.id))
        return pb.ListCrmConnectorsResponse(connectors=[present(row) for row in rows], next_cursor=more)

    async def CreateCrmConnector(
        self, request: pb.CreateCrmConnectorRequest, ctx: TransactionContext
    ) -> pb.CreateCrmConnectorResponse:
        row, secret = await self._connectors.create(ctx.tx, ctx.organization, request.connector)
        return pb.CreateCrmConnectorResponse(connector=present(row, secret))

    async def GetCrmConnector(
        self, request: pb.GetCrmConnectorRequest, ctx: TransactionContext
    ) -> pb.GetCrmConnectorResponse:
        row = await crm.get(ctx.tx, ids.require(Kind.CRM_CONNECTOR, request.id))
        return pb.GetCrmConnectorResponse(connector=present(row))

    async def UpdateCrmConnector(
        self, request: pb.UpdateCrmConnectorRequest, ctx: TransactionContext
    ) -> pb.UpdateCrmConnectorResponse:
        paths = set(request.update_mask.paths) or {field.name for field, _ in request.connector.ListFields()}
        id = ids.require(Kind.CRM_CONNECTOR, request.id)
        row = await self._connectors.change(ctx.tx, id, request.connector, paths)
        return pb.UpdateCrmConnectorResponse(connector=present(row))

    async def DeleteCrmConnector(
        self, request: pb.DeleteCrmConnectorRequest, ctx: TransactionContext
    ) -> pb.DeleteCrmConnectorResponse:
        await usecases.delete(ctx.tx, ids.require(Kind.CRM_CONNECTOR, request.id))
        return pb.DeleteCrmConnectorResponse()

    async def RotateCrmSecret(
        self, request: pb.RotateCrmSecretRequest, ctx: TransactionContext
    ) -> pb.RotateCrmSecretResponse:
        id = ids.require(Kind.CRM_CONNECTOR, request.id)
        own_secret = request.secret if request.HasField("secret") else None
        row, secret = await self._connectors.rotate(ctx.tx, ctx.organization, id, own_secret)
        return pb.RotateCrmSecretResponse(connector=present(row, secret))

    async def PingCrmConnector(
        self, request: pb.PingCrmConnectorRequest, ctx: ActionContext
    ) -> pb.PingCrmConnectorResponse:
        org, id = ctx.organization, ids.require(Kind.CRM_CONNECTOR, request.id)
        async with self._db.tenant(org) as tx:
            row = await crm.get(tx, id)
            await append_action(tx, org, ctx.principal, "pingCrmConnector", request.id, (), ctx.request_id)
        ping = ConnectorRequest(ConnectorEvent.PING, {"connector_id": ids.show(Kind.CRM_CONNECTOR, id)}, ids.new())
        return pb.PingCrmConnectorResponse(
            log=present_log((await self._connector_client.request(row, ping)).log, ctx.principal)
        )

    async def ListCrmLogs(self, request: pb.ListCrmLogsRequest, ctx: TransactionContext) -> pb.ListCrmLogsResponse:
        connector = await crm.get(ctx.tx, ids.require(Kind.CRM_CONNECTOR, request.id))
        call_id = ids.require(Kind.CALL, request.call_id) if request.call_id else None
        before, count = self._cursors.after(request), paging.rows_to_fetch(request)
        fetched = await crm.logs(ctx.tx, connector.id, before, count, call_id)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListCrmLogsResponse(logs=[present_log(row, ctx.principal) for row in rows], next_cursor=more)


def present(row: ConnectorRow, secret: str | None = None) -> pb.CrmConnector:
    at = now()
    old_until = row.old_secret_until if row.old_secret_until and row.old_secret_until > at else None
    rests_until = row.rests_until if row.rests_until and row.rests_until > at else None
    status = "resting" if rests_until else "failing" if row.failures else "ok"
    return pb.CrmConnector(
        id=ids.show(Kind.CRM_CONNECTOR, row.id),
        name=row.name,
        base_url=row.base_url,
        enabled=row.enabled,
        position=row.position,
        timeout_ms=row.timeout_ms,
        create_contacts=row.create_contacts,
        sync_calls=row.sync_calls,
        sync_conversations=row.sync_conversations,
        secret=secret,
        old_secret_expires_at=timestamp(old_until),
        status=value(pb.CrmConnectorStatus, status),
        failure=row.failure,
        failing_since=timestamp(row.failing_since),
        rests_until=timestamp(rests_until),
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def present_log(row: LogRow, principal: Principal) -> pb.CrmLog:
    """Show a request to a connector, with its bodies if the principal may read what they tell."""
    may_read = eventscopes.may_read(principal, SCOPES[ConnectorEvent(row.event)])
    return pb.CrmLog(
        id=ids.show(Kind.CRM_LOG, row.id),
        delivery_id=ids.show(Kind.CRM_DELIVERY, row.delivery_id),
        event=row.event,
        outcome=value(pb.CrmOutcome, row.outcome),
        reason=row.reason,
        message=row.message,
        contact_id=ids.show(Kind.CONTACT, row.contact_id) if row.contact_id else None,
        call_id=ids.show(Kind.CALL, row.call_id) if row.call_id else None,
        conversation_id=ids.show(Kind.CONVERSATION, row.conversation_id) if row.conversation_id else None,
        old_secret=row.old_secret,
        request_body=row.request_body if may_read else "",
        status=row.status,
        response_body=row.response_body if may_read else None,
        duration_ms=row.duration_ms,
        created_at=timestamp(row.created_at),
    )
