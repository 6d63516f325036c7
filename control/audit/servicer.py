"""AuditService (proto/hum/v1/audit.proto)."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from control.audit import usecases
from control.base import paging
from control.base.wire import timestamp
from control.boundary import TenantContext, TransactionContext
from control.feature import Deps
from hum import audit as chain
from hum import rpc
from hum.v1 import audit_pb2 as pb
from storage import audit
from storage.audit import AuditEntryRow

NDJSON = "application/x-ndjson"


class AuditServicer:
    """The servicer of the audit log."""

    def __init__(self, deps: Deps) -> None:
        self._db, self._cursors, self._limits = deps.db, deps.cursors, deps.boundary.concurrency

    async def ListAuditLog(self, request: pb.ListAuditLogRequest, ctx: TransactionContext) -> pb.ListAuditLogResponse:
        before, count = self._cursors.after(request), paging.rows_to_fetch(request)
        rows = await audit.page(ctx.tx, before, request.actor, request.action, request.subject, count)
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,))
        return pb.ListAuditLogResponse(entries=[present(row) for row in page], next_cursor=more)

    async def ExportAuditLog(self, _: pb.ExportAuditLogRequest, ctx: TenantContext) -> AsyncIterator[HttpBody]:
        """Yield the log page by page, each in its own transaction and within the organization's concurrency limit."""
        disposition = (f"{rpc.HTTP_PREFIX}content-disposition", 'attachment; filename="audit-log.jsonl"')
        await ctx.context.send_initial_metadata((disposition,))
        seq = 0
        while True:
            async with self._limits.enter(ctx.organization, patiently=True):
                async with self._db.tenant(ctx.organization) as tx:
                    rows = await audit.sealed_after(tx, seq)
                page = b"".join(_line(row) for row in rows)
            if rows or not seq:  # also for an empty log
                yield HttpBody(content_type=NDJSON, data=page)
            if len(rows) < audit.EXPORT_ROWS:
                return
            seq = rows[-1].seq or 0


def _line(row: AuditEntryRow) -> bytes:
    assert row.seq is not None and row.previous_hash is not None and row.hash is not None, "a sealed entry"
    return chain.line(row.seq, usecases.entry(row), bytes(row.previous_hash), bytes(row.hash))


def present(row: AuditEntryRow) -> pb.AuditEntry:
    """Return an entry as a message of the contract."""
    return pb.AuditEntry(
        at=timestamp(row.at),
        actor=row.actor,
        actor_name=row.actor_name,
        action=row.action,
        subject=row.subject or None,
        fields=row.fields,
        request_id=row.request_id,
        seq=row.seq,
        hash=row.hash.hex() if row.hash else None,
    )
