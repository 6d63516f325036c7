"""A job wakes the workers once it is committed, and only then."""

import asyncio

import pytest
from pgqueuer.domain.models import AnyEvent, TableChangedEvent
from pgqueuer.domain.settings import db_settings

from control import jobs
from control.base.job import Job
from hum import ids
from storage import identity
from storage.db import Db, notify

KIND = Job("test_kind", concurrency=5, per_organization=5)


async def test_a_new_job_is_told_of_in_the_queues_own_words(database_url: str) -> None:
    db, heard, org = await Db.open(database_url, size=2), asyncio.Queue[str](), ids.new()
    listening = await db.listen()
    await listening.add_listener(db_settings().channel, lambda *message: heard.put_nowait(str(message[3])))
    async with db.system() as tx:
        await identity.create_organization(tx, org, "one")
    with pytest.raises(RuntimeError):
        async with db.system() as tx:
            await jobs.enqueue(tx, KIND, org, ids.new())
            raise RuntimeError
    async with db.system() as tx:
        await jobs.enqueue_all(tx, KIND, org, [ids.new() for _ in range(9)])
        assert heard.empty()
    event = AnyEvent.model_validate_json(await asyncio.wait_for(heard.get(), 30)).root
    assert isinstance(event, TableChangedEvent) and event.operation == "insert"
    async with db.system() as tx:
        await tx.execute("UPDATE pgqueuer SET heartbeat = now()")  # what becomes of it concerns the worker that has it
        await tx.execute("DELETE FROM pgqueuer")
    async with db.system() as tx:
        await notify(tx, db_settings().channel, "the next one")
    assert await asyncio.wait_for(heard.get(), 30) == "the next one"
    await listening.close()
    await db.close()
