"""The inbox's stream over REST: what changes, once, in order, from any place."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from control.identity import usecases as identity
from control.inbox import jobs
from hum import ids
from hum.ids import Kind
from tests.contract.conftest import Edge
from tests.contract.inbox import BOB, numbered, organization, receive, started
from tests.support.waits import patience

STREAM = "/api/sms/stream"
NOW = {"honor_quiet_hours": False}


@dataclass
class Following:
    """An event stream that is read as far as somebody asks."""

    lines: AsyncIterator[str]
    last: int = 0

    async def next(self) -> tuple[str, dict[str, Any]]:
        name, data, id = "", "", 0
        async with patience():
            async for line in self.lines:
                field, _, value = line.partition(": ")
                match field:
                    case "id":
                        id = int(value)
                    case "event":
                        name = value
                    case "data":
                        data = value
                if not line and name:
                    self.last = id or self.last
                    return name, json.loads(data)
        raise AssertionError("the stream has ended")

    async def until(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """The next events, up to the first of each of these names."""
        found, missing = list[tuple[str, dict[str, Any]]](), set(names)
        while missing:
            found.append(await self.next())
            missing.discard(found[-1][0])
        return found


@asynccontextmanager
async def following(http: httpx.AsyncClient, last: int = 0, path: str = STREAM) -> AsyncIterator[Following]:
    headers = {"Last-Event-ID": str(last)} if last else {}
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Following(answer.aiter_lines(), last)


async def test_what_changes_is_told_as_it_is_now(edge: Edge) -> None:
    http, other = await edge.client(), await edge.client("Other")
    number = await numbered(edge, http)
    thread = await started(http, number)
    path = f"/api/sms/conversations/{thread['id']}"
    async with following(http) as stream, following(other) as theirs:
        assert await stream.next() == ("resync", {})
        assert await theirs.next() == ("resync", {})
        sent = (await http.post(f"{path}/messages", json={"body": "Hi", **NOW})).json()
        events = dict(await stream.until("message.created", "conversation.updated"))
        assert events["message.created"] == sent
        assert events["conversation.updated"]["last_message_preview"] == "Hi"
        await http.patch(path, json={"ai_paused": True})
        assert (await stream.next())[1]["ai_paused_reason"] == "human"
        closed = (await http.post(f"{path}/close")).json()
        await http.post(f"{path}/close")  # changes nothing, and tells nothing
        assert await stream.next() == ("conversation.updated", closed)
        await receive(edge, thread, await organization(http))
        name, told = (await stream.until("message.created"))[-1]
        assert (name, told["direction"]) == ("message.created", "inbound")
        mine = await started(other, await numbered(edge, other, "+13175550101"), BOB)
        assert await theirs.next() == ("conversation.updated", mine)  # and nothing of the first one's


async def test_a_client_goes_on_where_it_was(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    async with following(http) as stream:
        await stream.next()
    first = await started(http, number, initial_message={"body": "one", **NOW})
    async with following(http, stream.last) as again:
        names = [name for name, _ in await again.until("message.created", "conversation.updated")]
        assert "resync" not in names
    path = f"/api/sms/conversations/{first['id']}/messages"
    bodies = [f"m{n}" for n in range(30)]
    for begin in range(0, len(bodies), 5):  # more at once may have to wait for longer than they may
        posts = [http.post(path, json={"body": body, **NOW}) for body in bodies[begin : begin + 5]]
        assert {each.status_code for each in await asyncio.gather(*posts)} == {201}
    async with following(http, again.last) as rest:
        found = dict[str, int]()
        while len(found) < len(bodies):
            name, data = await rest.next()
            assert name != "resync"
            if name == "message.created":
                found[data["body"]] = found.get(data["body"], 0) + 1
    assert found == dict.fromkeys(bodies, 1)


async def test_changes_that_commit_late_are_not_skipped(edge: Edge) -> None:
    http = await edge.client()
    thread = await started(http, await numbered(edge, http))
    id, path = ids.require(Kind.CONVERSATION, thread["id"]), f"/api/sms/conversations/{thread['id']}"
    bob = await started(http, thread["twilio_number_id"], BOB)
    async with following(http) as stream:
        await stream.next()
        async with edge.plane.control.db.tenant(await organization(http)) as tx:
            await tx.execute("UPDATE conversations SET ai_paused_reason = 'loop' WHERE id = $1", id)
            later = await http.post(f"/api/sms/conversations/{bob['id']}/close")
        events = [await stream.next() for _ in range(2)]
    assert {data["id"] for _, data in events} == {thread["id"], later.json()["id"]}
    assert (await http.get(path)).json() in [data for _, data in events]


async def test_a_place_that_is_too_old_or_unknown_is_told_so_once(edge: Edge) -> None:
    http = await edge.client()
    number = await numbered(edge, http)
    async with following(http) as stream:
        await stream.next()
    await started(http, number)
    assert await jobs.prune_changes(edge.plane.control.db, timedelta(0)) > 0
    for contact_e164, last in {"+13175553001": stream.last, "+13175553002": 10**17}.items():
        async with following(http, last) as again:
            assert await again.next() == ("resync", {})
            made = await started(http, number, contact_e164)
            assert await again.next() == ("conversation.updated", made)


async def test_whoever_loses_access_loses_the_stream(edge: Edge) -> None:
    http = await edge.client()

    async def key(scope: str) -> tuple[str, httpx.AsyncClient]:
        row, secret = await identity.issue_key(edge.plane.control.db, await organization(http), "k", "viewer", [scope])
        return ids.show(Kind.API_KEY, row.id), httpx.AsyncClient(
            base_url=edge.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False
        )

    _, stranger = await key("calls:read")
    assert (await stranger.get(STREAM)).status_code == 403
    id, reader = await key("sms:read")
    async with following(reader) as stream:
        await stream.next()
        assert (await http.delete(f"/api/api-keys/{id}")).status_code == 204
        async with patience():
            async for _ in stream.lines:
                pass  # until it ends
    assert (await reader.get(STREAM)).status_code == 401
