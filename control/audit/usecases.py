"""Appends to the audit log, and its sealing."""

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from control.actors import actor
from control.audit.descriptions import describe
from hum import audit as chain
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from storage import audit
from storage.audit import AuditEntryRow
from storage.db import Db, Tx

OPERATOR = "operator"


async def append_action(
    tx: Tx, org: UUID, principal: Principal, action: str, subject: str, fields: Sequence[str], request_id: str
) -> None:
    """Append a principal's action, in the transaction of the action."""
    await audit.append(
        tx,
        org,
        actor=actor(principal),
        actor_name=principal.name,
        action=action,
        subject=subject,
        fields=fields,
        request_id=request_id,
    )


async def append_request(
    tx: Tx, principal: Principal, method: MethodDescriptor, request: Message, answer: Message, request_id: str
) -> None:
    """Append a request that changed something in the principal's organization, in its transaction."""
    change = describe(method, request, answer)
    await append_action(tx, principal.org_id, principal, change.action, change.subject, change.fields, request_id)


async def append_read(
    tx: Tx, principal: Principal, method: MethodDescriptor, request: Message, answer: Message, request_id: str
) -> None:
    """Append an audited read in the principal's organization, once within some minutes."""
    read = describe(method, request, answer)
    await audit.append_read(
        tx,
        principal.org_id,
        actor=actor(principal),
        actor_name=principal.name,
        action=read.action,
        subject=read.subject,
        request_id=request_id,
    )


async def append_operator_action(tx: Tx, org: UUID, action: str, subject: str, fields: Sequence[str] = ()) -> None:
    """Append an action of a deployment's operator with `hum admin`."""
    await audit.append(tx, org, actor=OPERATOR, actor_name=OPERATOR, action=action, subject=subject, fields=fields)


async def seal(db: Db) -> int:
    """Seal the entries committed since the last run; return how many.  Of concurrent workers, one seals."""
    sealed = 0
    while True:
        async with db.system() as tx:
            batch = await audit.seal(tx, lambda previous, seq, row: chain.link(previous, seq, entry(row)))
        if not batch:
            return sealed
        sealed += batch


def entry(row: AuditEntryRow) -> chain.AuditEntry:
    """Return the part of a row that is hashed and exported."""
    return chain.AuditEntry(
        organization=ids.show(Kind.ORGANIZATION, row.org_id),
        at=row.at,
        actor=row.actor,
        actor_name=row.actor_name,
        action=row.action,
        subject=row.subject,
        fields=row.fields,
        request_id=row.request_id,
    )
