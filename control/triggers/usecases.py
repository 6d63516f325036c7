"""The use cases of triggers: create, change, delete, rotate tokens and secrets."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from control.base import standardwebhooks
from hum import ids, secrets
from hum.contract.errors import FieldError, InvalidRequest, PlanLimit
from hum.contract.principal import Principal
from hum.secrets import Keyring, SealContext
from hum.v1 import events_pb2
from storage import events, triggers
from storage.db import Tx
from storage.triggers import TriggerRow

TABLE = "triggers"


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a trigger that a person sets."""

    name: str
    event: str
    enabled: bool
    id_field: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A trigger with newly issued credentials, which are shown once; empty: not issued."""

    row: TriggerRow
    token: str = ""
    secret: str = ""


async def create(tx: Tx, principal: Principal, keyring: Keyring, fields: Fields, most: int, *, signed: bool) -> Issued:
    """Create a trigger.  Raises PlanLimit."""
    if await triggers.count(tx) >= most:
        raise PlanLimit(f"The organization has {most} triggers, which is the limit.")
    id, token, key = ids.new(), secrets.new_token(), standardwebhooks.new_key()
    sealed = keyring.seal(key, SealContext(TABLE, id, principal.org_id)) if signed else None
    row = await triggers.create(
        tx,
        principal.org_id,
        id,
        name=fields.name,
        event=fields.event,
        enabled=fields.enabled,
        id_field=fields.id_field,
        token_hash=secrets.token_hash(token),
        secret=sealed,
    )
    await events.append(tx, principal.org_id, id, events_pb2.TriggerCreatedEvent(by=principal.name, event=fields.event))
    return Issued(row, token, standardwebhooks.secret(key) if signed else "")


async def change(tx: Tx, principal: Principal, id: UUID, after: Fields) -> TriggerRow:
    await triggers.change(tx, id, name=after.name, event=after.event, enabled=after.enabled, id_field=after.id_field)
    await _note_change(tx, principal, id)
    return await triggers.get(tx, id)


async def rotate_token(tx: Tx, principal: Principal, id: UUID, overlap: timedelta) -> Issued:
    """Give a trigger a new token; the old one stays valid during the overlap.  Raises NotFound."""
    await triggers.get(tx, id, lock=True)
    token = secrets.new_token()
    await triggers.set_token(tx, id, secrets.token_hash(token), overlap)
    await _note_change(tx, principal, id)
    return Issued(await triggers.get(tx, id), token)


async def rotate_secret(
    tx: Tx, principal: Principal, keyring: Keyring, id: UUID, overlap: timedelta, own_secret: str | None
) -> Issued:
    """Give a trigger a new secret; the old one stays valid during the overlap.  `own_secret`: the sender's; None: generate one.

    Raises NotFound, InvalidRequest.
    """
    key = standardwebhooks.key(own_secret) if own_secret is not None else standardwebhooks.new_key()
    if key is None:
        raise InvalidRequest([FieldError("secret", "must be `whsec_` and 24 to 64 bytes in base64")])
    row = await triggers.get(tx, id, lock=True)
    await triggers.set_secret(tx, id, keyring.seal(key, SealContext(TABLE, id, row.org_id)), overlap)
    await _note_change(tx, principal, id)
    return Issued(await triggers.get(tx, id), secret=standardwebhooks.secret(key))


async def remove_secret(tx: Tx, principal: Principal, id: UUID) -> None:
    """Remove a trigger's secret, so that posts need no signature.  Raises NotFound."""
    row = await triggers.get(tx, id, lock=True)
    if row.secret is not None:
        await triggers.set_secret(tx, id, None, timedelta())
        await _note_change(tx, principal, id)


async def delete(tx: Tx, principal: Principal, id: UUID) -> None:
    """Delete a trigger.  Raises NotFound."""
    await triggers.delete(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.TriggerDeletedEvent(by=principal.name))


async def _note_change(tx: Tx, principal: Principal, id: UUID) -> None:
    await events.append(tx, principal.org_id, id, events_pb2.TriggerUpdatedEvent(by=principal.name))
