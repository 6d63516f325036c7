"""Writing and sealing the audit log."""

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from control.audit.rules import describe
from hum import audit as chain
from hum import ids
from hum.ids import Kind
from hum.principal import Principal
from storage import audit
from storage.audit import EntryRow
from storage.db import Db, Tx

OPERATOR = "operator"


async def note(
    tx: Tx, org: UUID, who: Principal, action: str, subject: str, fields: Sequence[str], request_id: str
) -> None:
    """Note what `who` did, in the transaction in which it was done."""
    await audit.append(
        tx,
        org,
        actor=actor(who),
        actor_name=who.name,
        action=action,
        subject=subject,
        fields=fields,
        request_id=request_id,
    )


async def note_request(
    tx: Tx, who: Principal, method: MethodDescriptor, request: Message, answer: Message, request_id: str
) -> None:
    """Note what a request changed in the principal's organization, in its transaction."""
    change = describe(method, request, answer)
    await note(tx, who.org_id, who, change.action, change.subject, change.fields, request_id)


async def note_read(
    tx: Tx, who: Principal, method: MethodDescriptor, request: Message, answer: Message, request_id: str
) -> None:
    """Note what a request read in the principal's organization; once within some minutes."""
    read = describe(method, request, answer)
    await audit.append_read(
        tx,
        who.org_id,
        actor=actor(who),
        actor_name=who.name,
        action=read.action,
        subject=read.subject,
        request_id=request_id,
    )


async def note_operator(tx: Tx, org: UUID, action: str, subject: str, fields: Sequence[str] = ()) -> None:
    """Note what an operator of the deployment did with `hum admin`."""
    await audit.append(tx, org, actor=OPERATOR, actor_name=OPERATOR, action=action, subject=subject, fields=fields)


def actor(who: Principal) -> str:
    """The principal's name in the audit log."""
    if who.key_id is not None:
        return f"key:{ids.show(Kind.API_KEY, who.key_id)}"
    assert who.user_id is not None, "a principal is a key or a person"
    return f"user:{ids.show(Kind.USER, who.user_id)}"


async def seal(db: Db) -> int:
    """Seal the entries committed since the last run; return how many.  Any number of workers may try; one does it."""
    sealed = 0
    while True:
        async with db.system() as tx:
            batch = await audit.seal(tx, lambda previous, seq, row: chain.link(previous, seq, entry(row)))
        if not batch:
            return sealed
        sealed += batch


def entry(row: EntryRow) -> chain.Entry:
    """The part of a row that is hashed and exported."""
    return chain.Entry(
        organization=ids.show(Kind.ORGANIZATION, row.org_id),
        at=row.at,
        actor=row.actor,
        actor_name=row.actor_name,
        action=row.action,
        subject=row.subject,
        fields=row.fields,
        request_id=row.request_id,
    )
