"""AuditService (proto/hum/v1/audit.proto)."""

from collections.abc import AsyncIterator
from functools import partial

from google.api.httpbody_pb2 import HttpBody

from control.audit import kinds, usecases
from control.base import paging
from control.base.principal import has_scope
from control.base.wire import moment, timestamp, value, word
from control.boundary import TenantContext, TransactionContext
from control.feature import Deps
from hum import audit as chain
from hum import rpc
from hum.contract.principal import Principal
from hum.v1 import audit_pb2 as pb
from storage import audit, audit_names
from storage.audit import AuditEntryRow, AuditFilter

NDJSON = "application/x-ndjson"


class AuditServicer:
    """The servicer of the audit log."""

    def __init__(self, deps: Deps) -> None:
        self._db, self._cursors, self._limits = deps.db, deps.cursors, deps.boundary.concurrency

    async def ListAuditLog(self, request: pb.ListAuditLogRequest, ctx: TransactionContext) -> pb.ListAuditLogResponse:
        before, count = self._cursors.after(request), paging.rows_to_fetch(request)
        rows = await audit.page(ctx.tx, before, _filter(request), count)
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,))
        named = [kinds.named_id(row.action, row.subject, partial(_may_read, ctx.principal)) for row in page]
        names = await audit_names.names(ctx.tx, list({id for id in named if id is not None}))
        entries = [present(row, names.get(id) if id else None) for row, id in zip(page, named, strict=True)]
        return pb.ListAuditLogResponse(entries=entries, next_cursor=more)

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


def _filter(request: pb.ListAuditLogRequest) -> AuditFilter:
    actions = kinds.actions_of(word(pb.AuditSubjectKind, request.subject_kind))
    if request.action:
        actions = [request.action] if actions is None or request.action in actions else []
    return AuditFilter(
        request.actor,
        request.subject,
        actions,
        since=moment(request.at_from) if request.HasField("at_from") else None,
        until=moment(request.at_to) if request.HasField("at_to") else None,
    )


def _may_read(principal: Principal, scope: str) -> bool:
    return principal.key_id is None or has_scope(principal.scopes, scope)


def present(row: AuditEntryRow, subject_name: str | None) -> pb.AuditEntry:
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
        subject_kind=value(pb.AuditSubjectKind, kinds.kinds().get(row.action)),
        subject_name=subject_name,
    )
