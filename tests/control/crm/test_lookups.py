"""Who calls: what a connector's answer makes of the contact, and that none of them can do harm."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from control.base.egress import Policy
from control.clients.http import GuardedClient
from control.crm import lookups
from control.crm.client import ConnectorClient
from control.crm.lookups import CrmLookups
from hum import ids
from hum.clock import now
from storage import contacts, crm, identity
from tests.control.crm.conftest import ADA, CALLER, World, answers
from tests.support.httpserver import Handler
from tests.support.waits import patience, until

FOUND = answers({"found": True, "contact": ADA})
UNKNOWN = answers({"found": False})
LOOKUP = "/contacts/lookup"


async def drips(request: web.Request) -> web.StreamResponse:
    """One byte now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def test_what_a_connector_knows_is_the_contacts_layer(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = FOUND
    call = await world.call(node="media-1")
    await world.look_up(call)
    contact = await world.contact()
    assert (contact.name, contact.email, contact.company) == ("Ada Lovelace", "ada@example.com", None)
    assert json.loads(contact.attributes_json or "") == {"plan": "gold"}
    assert contact.said_by_lookup["name"] == "CALLER ID", "the carrier's word is kept below"
    assert world.informed == [call]
    ((path, body, headers),) = one.asked
    assert (path, body["phone"], body["direction"]) == (LOOKUP, CALLER, "inbound")
    assert set(body) == {"phone", "direction", "call_id"} and body["call_id"].startswith("call_")
    assert headers["User-Agent"] == "bluehive-hum-crm/1.0" and headers["X-HUM-Event"] == "contact.lookup"
    (log,) = await world.logs(id)
    assert (log.outcome, log.status, log.call_id, log.contact_id) == ("ok", 200, call, contact.id)
    assert json.loads(log.request_body) == body and "Lovelace" in (log.response_body or "")


async def test_a_persons_word_counts_more_and_a_vanished_contact_is_forgotten(world: World) -> None:
    one, _ = await world.crm()
    one.paths[LOOKUP] = FOUND
    await world.look_up(await world.call())
    id = (await world.contact()).id
    async with world.db.tenant(world.org) as tx:
        await contacts.change(tx, id, {"name": "Countess"}, None, [])
    assert (await world.contact()).name == "Countess"
    one.paths[LOOKUP] = answers("", 404)
    await world.look_up(await world.call())
    contact = await world.contact()
    assert (contact.said_by_crm, contact.name, contact.email) == ({}, "Countess", None)


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (answers("", 404), "not_found", None),
        (UNKNOWN, "not_found", None),
        (answers("<html>Welcome</html>"), "failed", "not_json"),
        (answers("[" * 20_000), "failed", "not_json"),
        (answers([1]), "failed", "invalid_answer"),
        (answers({"found": "yes"}), "failed", "invalid_answer"),
        (answers({"found": True, "contact": "Ada"}), "failed", "invalid_answer"),
        (answers({"found": True, "contact": {"name": "x" * 10_000_000}}), "failed", "too_large"),
        (answers("", 302, Location="http://169.254.169.254/"), "failed", "redirect"),
        (answers("no", 500), "failed", "http_status"),
        (answers("{}", **dict[str, Any]({"Content-Encoding": "br"})), "failed", "protocol"),
        (drips, "failed", "timeout"),
        (hangs, "failed", "timeout"),
    ],
)
async def test_a_bad_answer_is_a_row_in_the_log_and_no_harm(
    world: World, answer: Handler, outcome: str, reason: str | None
) -> None:
    one, id = await world.crm(timeout_ms=300 if reason == "timeout" else 20_000)
    one.paths[LOOKUP] = answer
    await world.look_up(await world.call(node="media-1"))
    (log,) = await world.logs(id)
    assert (log.outcome, log.reason) == (outcome, reason)
    assert len(log.response_body or "") <= 8000
    assert (await world.contact()).said_by_crm == {}
    assert world.informed == []
    connector = await world.connector(id)
    assert connector.failures == (outcome == "failed") and (connector.failure is not None) == (outcome == "failed")


async def test_what_is_not_valid_is_left_out_and_named(world: World) -> None:
    one, id = await world.crm()
    bad: dict[str, Any] = {"id": True, "name": "A\nda", "email": "nobody", "company": "c" * 300, "attributes": [1]}
    one.paths[LOOKUP] = answers({"found": True, "contact": bad})
    await world.look_up(await world.call())
    assert (await world.contact()).said_by_crm == {"name": "A da"}
    (log,) = await world.logs(id)
    assert log.message == "Not valid, and not used: id, email, company, attributes."


async def test_the_log_holds_no_secret(world: World) -> None:
    one, id = await world.crm()

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(text=json.dumps(dict(request.headers)))

    one.paths[LOOKUP] = echo
    await world.look_up(await world.call())
    (log,) = await world.logs(id)
    assert one.secrets[0] not in str(log) and "[secret]" in (log.response_body or "")
    async with world.db.system() as tx:
        stored = await tx.fetchval("SELECT secret FROM crm_connectors WHERE id = $1", id)
    assert one.secrets[0].encode() not in stored


async def test_the_first_in_order_is_believed_and_a_slow_one_is_not_waited_for(world: World) -> None:
    first, first_id = await world.crm(timeout_ms=1000)
    second, second_id = await world.crm()
    first.paths[LOOKUP] = answers({"found": True, "contact": {"id": "a", "name": "First"}})
    second.paths[LOOKUP] = answers({"found": True, "contact": {"id": "b", "name": "Second"}})
    await world.look_up(await world.call())
    assert (await world.contact()).name == "First"
    first.paths[LOOKUP] = hangs
    second.paths[LOOKUP] = answers({"found": True, "contact": {"id": "b", "name": "Second again"}})
    world.lookups.begin(await world.call(node="media-1"))
    async with patience():
        while not world.informed:  # while the first one still hangs
            await asyncio.sleep(0.01)
    assert len(await world.logs(first_id)) == 1 and (await world.contact()).name == "Second again"
    while running := list(world.lookups._running):
        await asyncio.wait(running)
    assert [log.reason for log in await world.logs(first_id)] == [None, "timeout"]
    assert len(await world.logs(second_id)) == 2


async def test_a_connector_that_fails_rests_and_says_why(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = answers("", 503)
    for _ in range(5):
        await world.look_up(await world.call())
    connector = await world.connector(id)
    assert len(one.asked) == 3 and connector.failures == 3
    assert connector.failure == "The connector answered 503." and connector.rests_until is not None
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET rests_until = now() - interval '1 s'")
    await world.look_up(await world.call())
    connector = await world.connector(id)
    assert len(one.asked) == 4 and connector.failures == 4
    rested = connector.rests_until
    assert rested is not None and rested - now() > timedelta(seconds=45), "twice as long"
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET rests_until = now() - interval '1 s'")
    one.paths[LOOKUP] = FOUND
    await world.look_up(await world.call())
    connector = await world.connector(id)
    assert (connector.failures, connector.failure, connector.rests_until) == (0, None, None)
    assert (await world.contact()).name == "Ada Lovelace"


async def test_requests_that_were_under_way_do_not_prolong_a_rest(world: World) -> None:
    _, id = await world.crm()
    before = await world.connector(id)
    for _ in range(9):  # all began when it was well
        async with world.db.tenant(world.org) as tx:
            await crm.fail(tx, before, "no", 3, timedelta(seconds=30), timedelta(seconds=900))
    after = await world.connector(id)
    assert after.failures == 3 and after.rests_until is not None
    assert after.rests_until - now() <= timedelta(seconds=30)


async def test_a_secret_that_can_t_be_opened_stops_its_connector_alone(world: World) -> None:
    (one, id), (other, _) = await world.crm(), await world.crm()
    other.paths[LOOKUP] = FOUND
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET secret = 'damaged' WHERE id = $1", id)
    await world.look_up(await world.call())
    assert not one.asked and [log.reason for log in await world.logs(id)] == ["secret"]
    assert (await world.contact()).name == "Ada Lovelace"


async def test_after_a_rest_one_request_finds_out_for_all(world: World) -> None:
    _, id = await world.crm()
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET failures = 9, rests_until = now() - interval '1 s'")
    row = await world.connector(id)
    assert sorted(await asyncio.gather(*(world.connector_client.may_request(row) for _ in range(5)))) == [False] * 4 + [
        True
    ]


async def test_a_connector_that_does_not_know_the_new_secret_gets_the_old_one_for_a_while(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = FOUND
    async with world.db.tenant(world.org) as tx:
        _, new = await world.connectors.rotate(tx, world.org, id)
    await world.look_up(await world.call())
    refused, taken = await world.logs(id)
    assert (refused.status, refused.old_secret, taken.status, taken.old_secret) == (401, False, 200, True)
    assert refused.delivery_id == taken.delivery_id and (await world.connector(id)).failures == 0
    one.secrets[:] = [new]
    await world.look_up(await world.call())
    assert [log.old_secret for log in await world.logs(id)][2:] == [False]
    one.secrets[:] = ["another"]
    async with world.db.system() as tx:
        await tx.execute("UPDATE crm_connectors SET old_secret_until = now() - interval '1 s'")
    await world.look_up(await world.call())
    assert [(log.status, log.old_secret) for log in await world.logs(id)][3:] == [(401, False)]


async def test_another_server_is_not_shown_the_secret_of_the_one_before(world: World) -> None:
    one, id = await world.crm()
    one.paths[LOOKUP] = one.paths["/v2" + LOOKUP] = FOUND
    await world.change(id, base_url=f"{one.url}/v2")
    await world.look_up(await world.call())
    assert [log.status for log in await world.logs(id)] == [200], "the same server, which keeps its secret"
    await world.change(id, base_url=one.url.replace("127.0.0.1", "localhost"))
    await world.look_up(await world.call())
    log = (await world.logs(id))[1:]
    assert [(each.status, each.old_secret) for each in log] == [(401, False)], "neither the old one nor a second try"
    async with world.db.tenant(world.org) as tx:
        _, one.secrets[0] = await world.connectors.rotate(tx, world.org, id)
    await world.look_up(await world.call())
    assert (await world.logs(id))[2].status == 200


async def test_an_address_that_is_not_public_is_not_reached(world: World) -> None:
    one, id = await world.crm()
    guarded = GuardedClient(Policy())
    try:
        strict = CrmLookups(world.db, ConnectorClient(world.db, guarded, world.keyring, world.settings), world.settings)
        for url in (one.url, "https://169.254.169.254/latest", "https://[::ffff:127.0.0.1]", "https://localhost"):
            async with world.db.system() as tx:  # as if its name had been given another address since
                await tx.execute("UPDATE crm_connectors SET base_url = $1, failures = 0, rests_until = NULL", url)
            strict.begin(await world.call())
            while running := list(strict._running):
                await asyncio.wait(running)
        assert [log.reason for log in await world.logs(id)] == ["blocked_address"] * 4
        assert all(log.response_body is None for log in await world.logs(id)) and not one.asked
    finally:
        await guarded.close()


async def test_a_forged_number_is_not_looked_up(world: World) -> None:
    one, _ = await world.crm()
    call = await world.call()
    async with world.db.system() as tx:
        await tx.execute("UPDATE calls SET caller_verification = 'failed' WHERE id = $1", call)
    await world.look_up(call)
    assert not one.asked


async def test_what_is_deleted_meanwhile_stays_deleted(world: World) -> None:
    one, id = await world.crm()
    contact = (await world.call(), await world.contact())[1]

    async def deletes(_: web.Request) -> web.StreamResponse:
        async with world.db.tenant(world.org) as tx:
            await contacts.delete(tx, contact.id)
        return web.json_response({"found": True, "contact": ADA})

    await world.look_up(await world.call())
    assert len(await world.logs(id)) == 1
    one.paths[LOOKUP] = deletes
    await world.look_up(await world.call())
    async with world.db.system() as tx:
        left = [
            await tx.fetchval(f"SELECT count(*) FROM {table}") for table in ("contacts", "crm_logs", "crm_contacts")
        ]
    assert left == [0, 0, 0] and len(one.asked) == 2


async def test_an_organization_whose_connectors_are_slow_leaves_others_their_look_ups(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "CRM_LOOKUPS", 4)
    one, _ = await world.crm()
    one.paths[LOOKUP] = hangs
    shared = CrmLookups(world.db, world.connector_client, world.settings)
    for call in [await world.call() for _ in range(4)]:
        shared.begin(call)
    await until(lambda: len(shared._running) == 2 == len(one.asked))
    running = list(shared._running)

    other = ids.new()
    async with world.db.system() as tx:
        await identity.create_organization(tx, other, "Other")
    theirs = replace(world, org=other)
    quick, _ = await theirs.crm()
    quick.paths[LOOKUP] = FOUND
    shared.begin(await theirs.call())
    await until(lambda: len(quick.asked) == 1)
    for task in running:
        task.cancel()
    await asyncio.gather(*shared._running, return_exceptions=True)
    assert (await theirs.contact()).name == "Ada Lovelace"
    assert not shared._places._taken
