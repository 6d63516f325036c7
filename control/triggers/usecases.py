"""Triggers: made, changed, given new addresses and secrets."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from control.base import standardwebhooks
from hum import ids, secrets
from hum.errors import FieldError, InvalidRequest, PlanLimit
from hum.principal import Principal
from hum.secrets import Keyring, Place
from hum.v1 import events_pb2
from storage import events, triggers
from storage.db import Tx
from storage.triggers import TriggerRow

TABLE = "triggers"


@dataclass(frozen=True, slots=True)
class Fields:
    """What a person sets of a trigger."""

    name: str
    event: str
    enabled: bool
    id_field: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A trigger with what is shown once; empty: nothing new."""

    row: TriggerRow
    token: str = ""
    secret: str = ""


async def create(tx: Tx, who: Principal, keyring: Keyring, fields: Fields, most: int, *, signed: bool) -> Shown:
    """Raises PlanLimit."""
    if await triggers.count(tx) >= most:
        raise PlanLimit(f"The organization has {most} triggers, which is the limit.")
    id, token, key = ids.new(), secrets.new_token(), standardwebhooks.new_key()
    sealed = keyring.seal(key, Place(TABLE, id, who.org_id)) if signed else None
    row = await triggers.create(
        tx,
        who.org_id,
        id,
        name=fields.name,
        event=fields.event,
        enabled=fields.enabled,
        id_field=fields.id_field,
        token_hash=secrets.token_hash(token),
        secret=sealed,
    )
    await events.append(tx, who.org_id, id, events_pb2.TriggerCreatedEvent(by=who.name, event=fields.event))
    return Shown(row, token, standardwebhooks.secret(key) if signed else "")


async def change(tx: Tx, who: Principal, id: UUID, after: Fields) -> TriggerRow:
    await triggers.change(tx, id, name=after.name, event=after.event, enabled=after.enabled, id_field=after.id_field)
    await _note_change(tx, who, id)
    return await triggers.get(tx, id)


async def rotate_token(tx: Tx, who: Principal, id: UUID, overlap: timedelta) -> Shown:
    """Raises NotFound."""
    await triggers.get(tx, id, lock=True)
    token = secrets.new_token()
    await triggers.set_token(tx, id, secrets.token_hash(token), overlap)
    await _note_change(tx, who, id)
    return Shown(await triggers.get(tx, id), token)


async def rotate_secret(
    tx: Tx, who: Principal, keyring: Keyring, id: UUID, overlap: timedelta, theirs: str | None
) -> Shown:
    """`theirs`: a secret of the sender's; None: a new one.  Raises NotFound, InvalidRequest."""
    key = standardwebhooks.key(theirs) if theirs is not None else standardwebhooks.new_key()
    if key is None:
        raise InvalidRequest([FieldError("secret", "must be `whsec_` and 24 to 64 bytes in base64")])
    row = await triggers.get(tx, id, lock=True)
    await triggers.set_secret(tx, id, keyring.seal(key, Place(TABLE, id, row.org_id)), overlap)
    await _note_change(tx, who, id)
    return Shown(await triggers.get(tx, id), secret=standardwebhooks.secret(key))


async def remove_secret(tx: Tx, who: Principal, id: UUID) -> None:
    """Raises NotFound."""
    row = await triggers.get(tx, id, lock=True)
    if row.secret is not None:
        await triggers.set_secret(tx, id, None, timedelta())
        await _note_change(tx, who, id)


async def delete(tx: Tx, who: Principal, id: UUID) -> None:
    """Raises NotFound."""
    await triggers.delete(tx, id)
    await events.append(tx, who.org_id, id, events_pb2.TriggerDeletedEvent(by=who.name))


async def _note_change(tx: Tx, who: Principal, id: UUID) -> None:
    await events.append(tx, who.org_id, id, events_pb2.TriggerUpdatedEvent(by=who.name))
