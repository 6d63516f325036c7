"""ContactsService (proto/hum/v1/contacts.proto)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.api import httpbody_pb2

from control.base import paging, phone
from control.base.wire import timestamp, value
from control.boundary import TenantContext, TransactionContext
from control.contacts import columns, csvfiles, imports, links, usecases
from control.contacts.csvfiles import FailedRow
from control.feature import Deps
from hum import ids, rpc
from hum.contract import wire
from hum.ids import Kind
from hum.settings import ControlSettings
from hum.v1 import contacts_pb2 as pb
from storage import contact_imports, contact_links, contacts
from storage.contact_imports import ImportRow
from storage.contact_links import LinkedContactRow
from storage.contacts import BackfillRow, ContactRow

EXPORT_ROWS = 100
CSV, JSON_LINES = "text/csv; charset=utf-8; header=present", "application/x-ndjson"
SOURCES = (("user", "said_by_user"), ("crm", "said_by_crm"), ("lookup", "said_by_lookup"))


class ContactsServicer:
    def __init__(self, deps: Deps, settings: ControlSettings) -> None:
        self._db, self._cursors, self._settings = deps.db, deps.cursors, settings
        self._concurrency = deps.boundary.concurrency

    async def ListContacts(self, request: pb.ListContactsRequest, ctx: TransactionContext) -> pb.ListContactsResponse:
        before, count = self._cursors.after(request), paging.rows_to_fetch(request)
        tag = request.tag or None
        if request.q:
            fetched = await contacts.search(ctx.tx, request.q, phone.digits(request.q), tag, before, count)
        else:
            fetched = await contacts.page(ctx.tx, before, count, tag)
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,), lambda row: row.size)
        return pb.ListContactsResponse(contacts=[present(row) for row in rows], next_cursor=more)

    async def CreateContact(
        self, request: pb.CreateContactRequest, ctx: TransactionContext
    ) -> pb.CreateContactResponse:
        return pb.CreateContactResponse(contact=present(await usecases.create(ctx.tx, ctx.principal, request.contact)))

    async def GetContact(self, request: pb.GetContactRequest, ctx: TransactionContext) -> pb.GetContactResponse:
        row = await contacts.get(ctx.tx, ids.require(Kind.CONTACT, request.id))
        return pb.GetContactResponse(contact=present(row))

    async def UpdateContact(
        self, request: pb.UpdateContactRequest, ctx: TransactionContext
    ) -> pb.UpdateContactResponse:
        id, paths = ids.require(Kind.CONTACT, request.id), list(request.update_mask.paths)
        row = await usecases.change(ctx.tx, ctx.principal, id, request.contact, paths)
        return pb.UpdateContactResponse(contact=present(row))

    async def TagContacts(self, request: pb.TagContactsRequest, ctx: TransactionContext) -> pb.TagContactsResponse:
        parsed = {id: text for text in request.ids if (id := ids.parse(Kind.CONTACT, text)) is not None}
        tagging = await usecases.change_tag(ctx.tx, ctx.principal, list(parsed), request.tag, remove=request.remove)
        seen = {parsed[id] for id in tagging.seen}
        return pb.TagContactsResponse(
            changed_ids=[parsed[id] for id in tagging.changed],
            missing_ids=[text for text in request.ids if text not in seen],
            full_ids=[parsed[id] for id in tagging.full],
        )

    async def ListContactLinks(
        self, request: pb.ListContactLinksRequest, ctx: TransactionContext
    ) -> pb.ListContactLinksResponse:
        row = await contacts.get(ctx.tx, ids.require(Kind.CONTACT, request.contact_id))
        linked = await contact_links.linked(ctx.tx, row.id)
        return pb.ListContactLinksResponse(contacts=[present_linked(each) for each in linked])

    async def AddContactLink(
        self, request: pb.AddContactLinkRequest, ctx: TransactionContext
    ) -> pb.AddContactLinkResponse:
        pair = [ids.require(Kind.CONTACT, id) for id in (request.contact_id, request.linked_id)]
        linked = await links.link(ctx.tx, ctx.principal, *pair)
        return pb.AddContactLinkResponse(contacts=[present_linked(each) for each in linked])

    async def RemoveContactLink(
        self, request: pb.RemoveContactLinkRequest, ctx: TransactionContext
    ) -> pb.RemoveContactLinkResponse:
        pair = [ids.require(Kind.CONTACT, id) for id in (request.contact_id, request.linked_id)]
        await links.unlink(ctx.tx, ctx.principal, *pair)
        return pb.RemoveContactLinkResponse()

    async def DeleteContact(
        self, request: pb.DeleteContactRequest, ctx: TransactionContext
    ) -> pb.DeleteContactResponse:
        await usecases.delete(ctx.tx, ctx.principal, ids.require(Kind.CONTACT, request.id))
        return pb.DeleteContactResponse()

    async def LookUpContact(
        self, request: pb.LookUpContactRequest, ctx: TransactionContext
    ) -> pb.LookUpContactResponse:
        id, settings = ids.require(Kind.CONTACT, request.id), self._settings
        keep = timedelta(days=settings.lookup_days)
        row = await usecases.look_up_again(ctx.tx, ctx.principal, id, keep, settings.lookups_per_day)
        return pb.LookUpContactResponse(contact=present(row))

    async def EraseContact(self, request: pb.EraseContactRequest, ctx: TransactionContext) -> pb.EraseContactResponse:
        await usecases.erase(ctx.tx, ctx.principal, ids.require(Kind.CONTACT, request.id))
        return pb.EraseContactResponse()

    async def ImportContacts(
        self, request: pb.ImportContactsRequest, ctx: TransactionContext
    ) -> pb.ImportContactsResponse:
        row = await imports.begin(ctx.tx, ctx.principal, request, self._settings)
        return pb.ImportContactsResponse(contact_import=present_import(row))

    async def GetContactImport(
        self, request: pb.GetContactImportRequest, ctx: TransactionContext
    ) -> pb.GetContactImportResponse:
        row = await contact_imports.get(ctx.tx, ids.require(Kind.IMPORT, request.id))
        return pb.GetContactImportResponse(contact_import=present_import(row))

    async def GetFailedImportRows(
        self, request: pb.GetFailedImportRowsRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Yield page by page, as an export does."""
        id = ids.require(Kind.IMPORT, request.id)
        async with self._db.tenant(ctx.organization) as tx:
            row = await contact_imports.get(tx, id)
        await ctx.context.send_initial_metadata(_export_headers("not-imported.csv"))
        yield httpbody_pb2.HttpBody(content_type=CSV, data=csvfiles.failures(row.header, (), has_header=True))
        last = 0
        while True:
            async with (
                self._concurrency.enter(ctx.organization, patiently=True),
                self._db.tenant(ctx.organization) as tx,
            ):
                rows = await contact_imports.failures(tx, id, last, EXPORT_ROWS)
            if not rows:
                return
            failed = (FailedRow(row.line, row.reason, row.cells) for row in rows)
            yield httpbody_pb2.HttpBody(content_type=CSV, data=csvfiles.failures((), failed, has_header=False))
            last = rows[-1].line

    async def ExportContacts(
        self, request: pb.ExportContactsRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """Yield page by page, each read in its own transaction: a slow reader holds no transaction open, and one page
        is in memory.  Each page queues for the organization's slots, so a hundred exports run no more at once than a few
        requests.
        """
        dialect = DIALECTS[request.dialect or pb.EXPORT_DIALECT_SPREADSHEET]
        await ctx.context.send_initial_metadata(_export_headers(dialect.file))
        yield httpbody_pb2.HttpBody(content_type=dialect.media_type, data=dialect.head)
        last = ""
        while True:
            async with self._concurrency.enter(ctx.organization, patiently=True):
                async with self._db.tenant(ctx.organization) as tx:
                    rows = await contacts.by_number(tx, last, EXPORT_ROWS)
                page = dialect.write(rows)
            if not rows:
                return
            yield httpbody_pb2.HttpBody(content_type=dialect.media_type, data=page)
            last = rows[-1].phone_e164

    async def BackfillContacts(
        self, request: pb.BackfillContactsRequest, ctx: TransactionContext
    ) -> pb.BackfillContactsResponse:
        lookup = request.lookup if request.HasField("lookup") else True
        row = await usecases.begin_backfill(ctx.tx, ctx.principal, lookup=lookup)
        return pb.BackfillContactsResponse(backfill=present_backfill(row))

    async def GetBackfill(self, _: pb.GetBackfillRequest, ctx: TransactionContext) -> pb.GetBackfillResponse:
        return pb.GetBackfillResponse(backfill=present_backfill(await contacts.latest_backfill(ctx.tx)))


def present(row: ContactRow) -> pb.Contact:
    return pb.Contact(
        id=ids.show(Kind.CONTACT, row.id),
        phone_e164=row.phone_e164,
        notes=row.notes,
        tags=row.tags,
        source=pb.ContactSources(**{name: value(pb.ContactSource, _source(row, name)) for name in contacts.SOURCED}),
        looked_up_at=timestamp(row.looked_up_at),
        untextable_code=row.untextable_code,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
        **{name: getattr(row, name) for name in contacts.SOURCED},
    )


def present_linked(row: LinkedContactRow) -> pb.LinkedContact:
    return pb.LinkedContact(
        id=ids.show(Kind.CONTACT, row.id), phone_e164=row.phone_e164, name=row.name, company=row.company
    )


def _source(row: ContactRow, name: str) -> str | None:
    return next((source for source, column in SOURCES if name in getattr(row, column)), None)


def exported(row: ContactRow) -> list[str]:
    """Return a contact's cells, in the order of `columns.FIELDS`."""
    cells = (row.phone_e164, row.name, row.email, row.company, row.notes, ";".join(row.tags), row.attributes_json)
    return [cell or "" for cell in cells]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A format of exports: its head, and a function that writes a page of contacts."""

    media_type: str
    file: str
    head: bytes
    write: Callable[[Sequence[ContactRow]], bytes]


def _lines(rows: Sequence[ContactRow]) -> bytes:
    return b"".join(wire.write(present(row)) + b"\n" for row in rows)


DIALECTS: Mapping[int, Dialect] = {
    pb.EXPORT_DIALECT_SPREADSHEET: Dialect(
        CSV,
        "contacts.csv",
        csvfiles.write([columns.FIELDS]),
        lambda rows: csvfiles.write(exported(row) for row in rows),
    ),
    pb.EXPORT_DIALECT_PLAIN: Dialect(
        CSV,
        "contacts.csv",
        csvfiles.plain([columns.FIELDS]),
        lambda rows: csvfiles.plain(exported(row) for row in rows),
    ),
    pb.EXPORT_DIALECT_JSON_LINES: Dialect(JSON_LINES, "contacts.jsonl", b"", _lines),
}


def _export_headers(file: str) -> tuple[tuple[str, str], ...]:
    disposition = (f"{rpc.HTTP_PREFIX}content-disposition", f'attachment; filename="{file}"')
    return disposition, (f"{rpc.HTTP_PREFIX}cache-control", "no-store")


def present_import(row: ImportRow) -> pb.ContactImport:
    counts = ("bad_rows", "duplicates", "created", "updated", "unchanged")
    return pb.ContactImport(
        id=ids.show(Kind.IMPORT, row.id),
        status=value(pb.ContactImportStatus, row.status),
        dry_run=row.dry_run,
        rows=row.rows_read,
        ignored_columns=row.ignored_columns,
        errors=[pb.ImportError(**error) for error in row.errors],
        failure=row.failure,
        columns=[
            pb.ImportColumn(title=title, becomes=becomes)
            for title, becomes in zip(row.header, row.columns, strict=False)
        ],
        failed_rows=min(row.bad_rows, imports.MOST_FAILED_ROWS),
        created_at=timestamp(row.created_at),
        ended_at=timestamp(row.ended_at),
        **{name: getattr(row, name) for name in counts},
    )


def present_backfill(row: BackfillRow) -> pb.Backfill:
    return pb.Backfill(
        id=ids.show(Kind.BACKFILL, row.id),
        status=value(pb.BackfillStatus, "completed" if row.ended_at else "running"),
        calls_seen=row.calls_seen,
        calls_total=max(row.calls_total, row.calls_seen),
        contacts_created=row.contacts_created,
        calls_linked=row.calls_linked,
        lookups=row.lookups,
        created_at=timestamp(row.created_at),
        ended_at=timestamp(row.ended_at),
    )
