"""Exports end when the right to them is lost: whoever reads slowly gets no more of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from control.audit import usecases
from control.contacts import servicer
from hum.v1 import audit_pb2, audit_pb2_grpc, contacts_pb2, contacts_pb2_grpc
from storage import audit, contacts
from tests.control.conftest import Plane

PAGES = 3


def interrupted(read: Callable[..., Any], plane: Plane, statement: str) -> Callable[..., Any]:
    """Reads a page; while the first is sent, the statement is executed, and the next check is due."""
    pages = 0

    async def reading(*values: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 1:
            async with plane.control.db.system() as tx:
                await tx.execute(statement)
            await asyncio.sleep(plane.settings.recheck_seconds * 1.1)
        return await read(*values)

    return reading


@pytest.fixture
async def who(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[str, str], ...]:
    """An organization with pages of contacts, and of a sealed audit log."""
    made = await plane.tenant()
    stub = contacts_pb2_grpc.ContactsServiceStub(plane.channel)
    for n in range(PAGES):
        contact = contacts_pb2.Contact(phone_e164=f"+1317555010{n}")
        await stub.CreateContact(contacts_pb2.CreateContactRequest(contact=contact), metadata=made)
    await usecases.seal(plane.control.db)
    monkeypatch.setattr(servicer, "EXPORT_ROWS", 1)
    monkeypatch.setattr(audit, "EXPORT_ROWS", 1)
    return made


def exporting(plane: Plane, what: str, who: tuple[tuple[str, str], ...]) -> Any:
    if what == "contacts":
        stub = contacts_pb2_grpc.ContactsServiceStub(plane.channel)
        dialect = contacts_pb2.EXPORT_DIALECT_JSON_LINES
        return stub.ExportContacts(contacts_pb2.ExportContactsRequest(dialect=dialect), metadata=who)
    return audit_pb2_grpc.AuditServiceStub(plane.channel).ExportAuditLog(
        audit_pb2.ExportAuditLogRequest(), metadata=who
    )


@pytest.mark.parametrize(
    ("what", "module", "page"), [("contacts", contacts, "by_number"), ("audit", audit, "sealed_after")]
)
@pytest.mark.parametrize(
    ("statement", "is_lost"),
    [
        ("UPDATE api_keys SET revoked_at = now()", True),
        ("UPDATE api_keys SET scopes = '{calls:read}'", True),
        ("SELECT 1", False),
    ],
)
async def test_an_export_ends_when_the_right_to_it_is_lost(
    plane: Plane,
    who: tuple[tuple[str, str], ...],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    module: Any,
    page: str,
    statement: str,
    is_lost: bool,
) -> None:
    monkeypatch.setattr(module, page, interrupted(getattr(module, page), plane, statement))
    got, refusal = b"", None
    try:
        async for body in exporting(plane, what, who):
            got += body.data
    except aio.AioRpcError as error:
        refusal = error.code()
    if is_lost:
        assert (got.count(b"\n"), refusal) == (1, grpc.StatusCode.PERMISSION_DENIED)
    else:
        assert (got.count(b"\n") >= PAGES, refusal) == (True, None)
