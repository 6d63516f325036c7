"""Open streams end when the rights of their credential are taken away, by notification: the recheck is an hour away here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from control.audit import usecases
from control.identity import usecases as identity
from hum.contract.errors import RequestRefused
from storage import audit, revocations
from tests.contract.conftest import Browser, Edge
from tests.contract.test_deletion import colleague, recorded
from tests.contract.test_power import key_of, set_role
from tests.contract.test_team import ADA, GRACE, members, team
from tests.control.conftest import UNLIMITED
from tests.support.waits import patience


@pytest.fixture
def limits() -> dict[str, float]:
    return {
        **UNLIMITED,
        "recheck_seconds": 3600,
    }


@asynccontextmanager
async def following(edge: Edge, **headers: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of the organization's stream, after its first event."""
    async with (
        httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False, timeout=None) as http,
        http.stream("GET", "/api/stream") as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        lines = answer.aiter_lines()
        async with patience():
            async for line in lines:
                if line.startswith("data:"):
                    break
        yield lines


def signed_in_as(browser: Browser) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


async def read_to_its_end(lines: AsyncIterator[str]) -> None:
    async with patience():
        async for _ in lines:
            pass


async def user_of(owner: Browser, email: str) -> str:
    return (await members(owner))[email]["user_id"]


async def removed(_: Edge, owner: Browser, __: Browser) -> None:
    assert (await owner.request("DELETE", f"/api/team/{await user_of(owner, GRACE)}")).status_code == 204


async def removed_with_kept_keys(_: Edge, owner: Browser, __: Browser) -> None:
    path = f"/api/team/{await user_of(owner, GRACE)}"
    assert (await owner.request("DELETE", path, params={"keep_api_keys": "true"})).status_code == 204


async def signed_out(_: Edge, __: Browser, grace: Browser) -> None:
    assert (await grace.post("/auth/logout")).status_code in {200, 204, 303}


async def signed_out_everywhere(_: Edge, __: Browser, grace: Browser) -> None:
    assert (await grace.request("DELETE", "/api/me/sessions")).status_code == 204


async def unlinked(edge: Edge, _: Browser, __: Browser) -> None:
    assert await identity.unlink_sign_in(edge.plane.control.db, email=GRACE, issuer="") == 1


Loss = Callable[[Edge, Browser, Browser], Awaitable[None]]


@pytest.mark.parametrize("loss", [removed, removed_with_kept_keys, signed_out, signed_out_everywhere, unlinked])
async def test_a_persons_stream_ends_with_the_persons_rights(edge: Edge, loss: Loss) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    async with following(edge, **signed_in_as(owner)) as others, following(edge, **signed_in_as(grace)) as lines:
        await loss(edge, owner, grace)
        await read_to_its_end(lines)
        await owner.post("/api/flows", {"name": "after"})
        async with patience():
            assert "resource.changed" in await next_event(others)


async def next_event(lines: AsyncIterator[str]) -> str:
    async for line in lines:
        if line.startswith("event:"):
            return line
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("loss", ["revoked", "maker removed"])
async def test_a_keys_stream_ends_with_the_key(edge: Edge, loss: str) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    key, other = await key_of(edge, grace), await key_of(edge, owner)
    id = (await key.request("GET", "/api/api-keys")).json()["api_keys"][1]["id"]
    async with (
        following(edge, Authorization=f"Bearer {other.secret}") as others,
        following(edge, Authorization=f"Bearer {key.secret}") as lines,
    ):
        if loss == "revoked":
            assert (await owner.request("DELETE", f"/api/api-keys/{id}")).status_code == 204
        else:
            await removed(edge, owner, grace)
        await read_to_its_end(lines)
        await owner.post("/api/flows", {"name": "after"})
        async with patience():
            assert "resource.changed" in await next_event(others)


@pytest.mark.parametrize("who", ["person", "key"])
async def test_an_export_ends_with_the_role_that_it_needs(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """The second page never comes: only the notification can end it."""
    owner, grace = await team(edge, (GRACE, "admin"))
    headers = (
        signed_in_as(grace) if who == "person" else {"Authorization": f"Bearer {(await key_of(edge, grace)).secret}"}
    )
    await usecases.seal(edge.plane.control.db)
    monkeypatch.setattr(audit, "EXPORT_ROWS", 1)
    sealed_after = audit.sealed_after

    async def stuck_after_one(tx: Any, seq: int) -> Any:
        if seq:
            await asyncio.Event().wait()
        return await sealed_after(tx, seq)

    monkeypatch.setattr(audit, "sealed_after", stuck_after_one)
    async with (
        patience(),
        httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False, timeout=None) as http,
        http.stream("GET", "/api/audit-log/export") as answer,
    ):
        chunks = answer.aiter_raw()
        assert await anext(chunks)
        await set_role(owner, GRACE, "operator")
        with pytest.raises(httpx.HTTPError):
            await anext(chunks)


async def test_rights_taken_while_a_stream_is_admitted_end_it_too(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The revocation commits after the credential was read, and before the stream is known as the key's."""
    owner, _ = await team(edge, (GRACE, "admin"))
    key = await key_of(edge, owner)
    id = (await key.request("GET", "/api/api-keys")).json()["api_keys"][0]["id"]
    from control.boundary.authentication import Authentication

    tenant = Authentication.tenant

    @asynccontextmanager
    async def revoked_meanwhile(authentication: Authentication, passage: Any) -> AsyncIterator[Any]:
        async with tenant(authentication, passage) as call:
            if passage.method.descriptor.name == "StreamChanges":
                assert (await owner.request("DELETE", f"/api/api-keys/{id}")).status_code == 204
            yield call

    monkeypatch.setattr(Authentication, "tenant", revoked_meanwhile)
    async with (
        patience(),
        httpx.AsyncClient(base_url=edge.url, trust_env=False, timeout=None) as http,
        http.stream("GET", "/api/stream", headers={"Authorization": f"Bearer {key.secret}"}) as answer,
    ):
        await read_to_its_end(answer.aiter_lines())


async def test_a_change_that_is_rolled_back_ends_nothing(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    async with following(edge, **signed_in_as(grace)) as lines:
        with pytest.raises(RequestRefused):
            async with edge.plane.control.db.system() as tx:
                user = await tx.fetchval("SELECT id FROM users WHERE email = $1", GRACE)
                await tx.execute("DELETE FROM memberships WHERE user_id = $1", user)
                await revocations.publish(tx, user)
                raise RequestRefused
        await owner.post("/api/flows", {"name": "after"})
        async with patience():
            assert "resource.changed" in await next_event(lines)
    assert ADA in await members(owner)


async def test_a_download_ends_with_the_key(edge: Edge) -> None:
    """A file without an end in any reader's patience: only the revocation ends its download."""
    size = 1 << 40
    http, id, file = await recorded(edge, b"")
    with file.open("r+b") as sparse:
        sparse.truncate(size)
    viewer = await colleague(edge, http, "viewer")
    keys = (await http.get("/api/api-keys")).json()["api_keys"]
    theirs = next(each["id"] for each in keys if each["name"] == "viewer")
    async with patience(), viewer.stream("GET", f"/api/calls/{id}/recording") as answer:
        assert answer.status_code == 200
        chunks = answer.aiter_raw(256 << 10)
        await anext(chunks)
        assert (await http.delete(f"/api/api-keys/{theirs}")).status_code == 204
        with pytest.raises(httpx.HTTPError):
            async for _ in chunks:
                pass
