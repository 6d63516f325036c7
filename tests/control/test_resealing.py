"""A new key of HUM_SECRET_KEYS takes the place of an old one."""

from control import resealing
from control.webhooks import usecases
from control.webhooks.sealing import WebhookSealer
from hum.secrets import Keyring
from storage import sealed, webhooks
from tests.control.webhooks.conftest import LOCAL, Hooked, hooked

__all__ = ["hooked"]

OLD, NEW = (1, bytes(32)), (2, bytes([2] * 32))


async def test_all_are_sealed_by_the_newest_key_and_one_that_is_locked_is_left_to_the_next_run(hooked: Hooked) -> None:
    made = [await hooked.webhook(headers={"X-Key": "k"}) for _ in range(5)]
    async with hooked.db.tenant(hooked.org) as tx:
        await usecases.rotate(tx, made[0], WebhookSealer(hooked.keyring), usecases.WebhookLimits(50, LOCAL, 60.0))
        newest = WebhookSealer(hooked.keyring).secret(
            (await webhooks.get(tx, made[0])).sealed_secret, made[0], hooked.org
        )
    both = Keyring([NEW, OLD])
    assert await resealing.count_left(hooked.db, both) == 11
    async with hooked.db.system() as tx:
        await tx.execute("SELECT 1 FROM webhooks WHERE id = $1 FOR UPDATE", made[1])
        found = await resealing.reseal(hooked.db, both, 20.0, batch=2)
        assert (found.resealed, found.unsealable, found.left) == (9, 0, 2)
    found = await resealing.reseal(hooked.db, both, 20.0)
    assert (found.resealed, found.left) == (2, 0)
    alone = WebhookSealer(Keyring([NEW]))
    for each in made:
        row = await hooked.row(each)
        assert alone.headers(row.sealed_headers, each, hooked.org) == {"X-Key": "k"}
    row = await hooked.row(made[0])
    assert alone.secret(row.sealed_secret, made[0], hooked.org) == newest
    assert row.sealed_previous_secret is not None
    assert alone.secret(row.sealed_previous_secret, made[0], hooked.org) == hooked.secrets[made[0]]


async def test_what_can_not_be_opened_is_counted_and_left_as_it_is(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    before = (await hooked.row(webhook)).sealed_secret
    found = await resealing.reseal(hooked.db, Keyring([NEW]), 20.0)
    assert (found.resealed, found.unsealable, found.left) == (0, 1, 1)
    assert (await hooked.row(webhook)).sealed_secret == before


async def test_every_column_that_is_sealed_is_listed(hooked: Hooked) -> None:
    async with hooked.db.system() as tx:
        columns = await tx.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name ~ '^sealed|secret' AND column_name !~ 'hash'"
        )
    listed = {(column.table, column.name) for column in sealed.COLUMNS}
    assert {(row["table_name"], row["column_name"]) for row in columns} == listed
