"""Power ends with its reason: a key with its maker's role, an answer with who asked for it."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.identity import usecases as identity
from control.team import usecases as invitations
from hum import ids
from hum.ids import Kind
from storage import identity as storage_identity
from storage.db import Tx
from tests.contract.conftest import Browser, Edge
from tests.contract.test_team import ADA, ALAN, GRACE, members, team
from tests.support.waits import until

ADMIN_KEY = {"name": "k", "role": "admin"}


class Key:
    """A client with a secret."""

    def __init__(self, edge: Edge, secret: str) -> None:
        self.edge, self._base, self.secret = edge, edge.url, secret

    async def request(self, verb: str, path: str, json: Any = None, key: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secret}", **({"Idempotency-Key": key} if key else {})}
        async with httpx.AsyncClient(base_url=self._base, headers=headers, trust_env=False) as http:
            return await http.request(verb, path, json=json)

    async def role(self) -> str:
        role: str = (await self.request("GET", "/api/me")).json()["role"]
        return role


async def key_of(edge: Edge, browser: Browser, role: str = "admin", *scopes: str) -> Key:
    body = {"name": "k", "role": role, **({"scopes": list(scopes)} if scopes else {})}
    answer = await browser.post("/api/api-keys", body)
    assert answer.status_code == 201, answer.text
    return Key(edge, answer.json()["secret"])


async def set_role(owner: Browser, email: str, role: str) -> None:
    user = (await members(owner))[email]["user_id"]
    answer = await owner.request("PATCH", f"/api/team/{user}", json={"role": role})
    assert answer.status_code == 200, answer.text


# --- keys ---------------------------------------------------------------------------------------------------------


async def test_an_admin_who_was_demoted_does_not_come_back_by_a_key(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    key, user = await key_of(edge, grace), (await members(owner))[GRACE]["user_id"]
    await set_role(owner, GRACE, "viewer")
    for verb, path, body in (
        ("PATCH", f"/api/team/{user}", {"role": "admin"}),
        ("POST", "/api/team/invites", {"email": "second@example.com", "role": "admin"}),
        ("POST", "/api/api-keys", ADMIN_KEY),
        ("POST", "/api/flows", {"name": "a"}),
    ):
        answer = await key.request(verb, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), path
    assert (await members(owner))[GRACE]["role"] == "viewer"
    assert (await key.request("GET", "/api/flows")).status_code == 200  # what its maker still may


@pytest.mark.parametrize("made", ["viewer", "operator", "admin"])
async def test_a_key_has_the_lesser_role_of_its_own_and_its_makers(edge: Edge, made: str) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    key, roles = await key_of(edge, grace, made), ["viewer", "operator", "admin"]
    for now in ("operator", "viewer", "admin"):  # and it has its own again when its maker has
        await set_role(owner, GRACE, now)
        assert await key.role() == min(made, now, key=roles.index)


async def test_a_key_that_a_key_made_is_bounded_too(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    first = await key_of(edge, grace)
    second = Key(edge, (await first.request("POST", "/api/api-keys", ADMIN_KEY)).json()["secret"])
    await set_role(owner, GRACE, "operator")
    assert [await first.role(), await second.role()] == ["operator", "operator"]


async def test_a_kept_key_is_bounded_by_who_kept_it(edge: Edge) -> None:
    owner, grace, alan = await team(edge, (GRACE, "admin"), ("alan@example.com", "admin"))
    key = await key_of(edge, grace)
    user = (await members(owner))[GRACE]["user_id"]
    await alan.request("DELETE", f"/api/team/{user}", params={"keep_api_keys": "true"})
    assert await key.role() == "admin"
    await set_role(owner, "alan@example.com", "viewer")
    assert await key.role() == "viewer"


@pytest.mark.parametrize("made", ["viewer", "operator", "admin"])
async def test_a_kept_key_can_no_more_than_its_maker_could(edge: Edge, made: str) -> None:
    """Its secret is with whoever left: keeping it must not give back what a demotion took."""
    owner, grace = await team(edge, (GRACE, "admin"))
    key, user = await key_of(edge, grace, made), (await members(owner))[GRACE]["user_id"]
    await set_role(owner, GRACE, "operator")
    removed = await owner.request("DELETE", f"/api/team/{user}", params={"keep_api_keys": "true"})
    assert removed.status_code == 204
    assert await key.role() == min(made, "operator", key=["viewer", "operator", "admin"].index)
    invited = await key.request("POST", "/api/team/invites", {"email": "second@example.com", "role": "admin"})
    assert (invited.status_code, (await owner.get("/api/team/invites")).json()["invites"]) == (403, [])


async def test_a_key_that_is_kept_without_a_maker_is_a_viewers(edge: Edge) -> None:
    """An operator's key removes the maker: no person answers for the kept key from now on."""
    owner, grace = await team(edge, (GRACE, "admin"))
    key, user = await key_of(edge, grace), (await members(owner))[GRACE]["user_id"]
    org = ids.require(Kind.ORGANIZATION, (await owner.get("/api/me")).json()["organization"]["id"])
    _, secret = await identity.issue_key(edge.plane.control.db, org, "operator's", "admin", [])
    answer = await Key(edge, secret).request("DELETE", f"/api/team/{user}?keep_api_keys=true")
    assert answer.status_code == 204, answer.text
    assert [await key.role(), await Key(edge, secret).role()] == ["viewer", "admin"]
    listed = {each["name"]: each["role"] for each in (await owner.get("/api/api-keys")).json()["api_keys"]}
    assert listed == {"k": "viewer", "operator's": "admin"}


async def made(key: Key, name: str = "k") -> tuple[str, Key]:
    """A key that a key made, and its id."""
    answer = await key.request("POST", "/api/api-keys", {"name": name, "role": "admin"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], Key(key.edge, answer.json()["secret"])


async def opens(*keys: Key) -> list[bool]:
    answers = [await key.request("GET", "/api/flows") for key in keys]
    assert {each.status_code for each in answers} <= {200, 401}
    return [each.status_code == 200 for each in answers]


async def test_a_revoked_keys_keys_and_invitations_end_with_it(edge: Edge) -> None:
    owner = (await team(edge))[0]
    ours, other = await key_of(edge, owner), await key_of(edge, owner)
    first, stolen = await made(ours)
    second, child = await made(stolen)
    third, grandchild = await made(child)
    invite = await grandchild.request("POST", "/api/team/invites", {"email": GRACE, "role": "admin"})
    assert invite.status_code == 201, invite.text
    await owner.post("/api/team/invites", {"email": ALAN, "role": "viewer"})
    assert (await owner.request("DELETE", f"/api/api-keys/{first}")).status_code == 204
    assert await opens(ours, other, stolen, child, grandchild) == [True, True, False, False, False]
    grace = await edge.signed_in(GRACE)
    assert (await grace.post(f"/api/me/invitations/{invite.json()['id']}/accept")).status_code == 404
    assert [each["email"] for each in (await owner.get("/api/team/invites")).json()["invites"]] == [ALAN]
    log = (await owner.get("/api/audit-log")).json()["entries"]
    told = {(each["action"], each["subject"]) for each in log if each["actor_name"] == ADA}
    ends = {("revokeApiKey", key) for key in (first, second, third)} | {("deleteInvite", invite.json()["id"])}
    assert ends <= told


async def test_what_a_key_can_make_is_bounded_so_that_it_can_be_revoked(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = (await team(edge))[0]
    monkeypatch.setattr(identity, "MOST_KEYS", 3)
    monkeypatch.setattr(invitations, "MOST_INVITES", 1)
    first, stolen = await made(await key_of(edge, owner))
    second, child = await made(stolen)
    invites = [await child.request("POST", "/api/team/invites", {"email": to, "role": "admin"}) for to in (GRACE, ALAN)]
    invites.append(await child.request("POST", "/api/team/invites", {"email": GRACE, "role": "viewer"}))
    assert [each.status_code for each in invites] == [201, 409, 201], invites[1].text
    too_many = await child.request("POST", "/api/api-keys", ADMIN_KEY)
    assert (too_many.status_code, too_many.json()["error"]["code"]) == (409, "invalid_state")
    assert (await stolen.request("DELETE", f"/api/api-keys/{second}")).status_code == 204
    _, heir = await made(stolen)
    assert (await owner.request("DELETE", f"/api/api-keys/{first}")).status_code == 204
    assert await opens(stolen, child, heir) == [False, False, False]
    assert (await owner.get("/api/team/invites")).json()["invites"] == []


async def test_a_keys_successor_revokes_it_and_stays_until_somebody_else_does(edge: Edge) -> None:
    owner = (await team(edge))[0]
    old, old_key = await made(await key_of(edge, owner))
    (_, successor), (_, sibling) = await made(old_key), await made(old_key)
    assert (await successor.request("DELETE", f"/api/api-keys/{old}")).status_code == 204
    assert await opens(old_key, successor, sibling) == [False, True, False]
    assert (await owner.request("DELETE", f"/api/api-keys/{old}")).status_code == 204
    assert await opens(successor) == [False]


async def test_the_keys_of_a_revoked_key_are_kept_for_who_asks_but_not_for_themselves(edge: Edge) -> None:
    owner = (await team(edge))[0]
    id, first = await made(await key_of(edge, owner))
    middle, second = await made(first)
    _, third = await made(second)
    for key in (second, third):
        answer = await key.request("DELETE", f"/api/api-keys/{middle}?keep_made_keys=true")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    kept = await owner.request("DELETE", f"/api/api-keys/{middle}", params={"keep_made_keys": "true"})
    assert kept.status_code == 204
    assert await opens(first, second, third) == [True, False, True]
    assert (
        await owner.request("DELETE", f"/api/api-keys/{id}")
    ).status_code == 204  # the maker of the kept one's maker
    assert await opens(first, third) == [False, False]


@pytest.mark.parametrize("ends", ["key", "member"])
async def test_a_key_is_revoked_while_another_is_with_all_keys_of_its_maker(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    root, root_key = await made(await key_of(edge, grace))
    child, child_key = await made(root_key)
    grandchildren = [(await made(child_key))[1] for _ in range(3)]
    user, db = (await members(owner))[GRACE]["user_id"], edge.plane.control.db
    async with db.system() as tx:
        # Its row is now stored behind those of the keys that it made.
        await tx.execute("UPDATE api_keys SET name = 'child' WHERE id = $1", ids.require(Kind.API_KEY, child))
    begun, go_on, cascade = asyncio.Event(), asyncio.Event(), storage_identity.revoke_keys_made_by

    async def revoke_keys_made_by(tx: Tx, maker: UUID, besides: UUID | None) -> list[UUID]:
        if maker == ids.require(Kind.API_KEY, child):
            begun.set()
            await go_on.wait()
        # One of the plans that the server may choose: it locks the rows in the order in which they are stored.
        for other in ("hashjoin", "indexscan", "bitmapscan"):
            await tx.execute(f"SET LOCAL enable_{other} = off")
        return await cascade(tx, maker, besides)

    monkeypatch.setattr(storage_identity, "revoke_keys_made_by", revoke_keys_made_by)
    first = asyncio.create_task(owner.request("DELETE", f"/api/api-keys/{child}"))
    await begun.wait()
    path = f"/api/api-keys/{root}" if ends == "key" else f"/api/team/{user}"
    second = asyncio.create_task(owner.request("DELETE", path))
    await until(lambda: waiting_for_locks(edge, 1))
    go_on.set()
    assert [(await each).status_code for each in (first, second)] == [204, 204]
    assert await opens(root_key, child_key, *grandchildren) == [False] * 5


async def test_a_key_that_expires_makes_none_that_outlives_it(edge: Edge) -> None:
    owner = (await team(edge))[0]
    expiring = {**ADMIN_KEY, "expires_at": "2099-01-01T00:00:00.5Z"}
    key = Key(edge, (await owner.post("/api/api-keys", expiring)).json()["secret"])
    for body in (ADMIN_KEY, {**ADMIN_KEY, "expires_at": "2099-01-01T00:00:01Z"}):
        answer = await key.request("POST", "/api/api-keys", body)
        [detail] = answer.json()["error"]["details"]
        assert (answer.status_code, detail["field"]) == (400, "expires_at"), answer.text
        assert "2099-01-01T00:00:00" in detail["reason"]
    assert (await key.request("POST", "/api/api-keys", expiring)).status_code == 201


async def test_a_key_makes_nothing_while_it_is_revoked(edge: Edge) -> None:
    """The creation was admitted before the revocation, and is stored after it."""
    owner = (await team(edge))[0]
    key = await key_of(edge, owner)
    id = (await owner.get("/api/api-keys")).json()["api_keys"][0]["id"]
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", ids.require(Kind.API_KEY, id))
        making = asyncio.create_task(key.request("POST", "/api/api-keys", ADMIN_KEY))
        inviting = asyncio.create_task(key.request("POST", "/api/team/invites", {"email": GRACE, "role": "admin"}))
        await until(lambda: waiting_for_locks(edge, 2))
    assert [(await each).status_code for each in (making, inviting)] == [403, 403]
    assert len((await owner.get("/api/api-keys")).json()["api_keys"]) == 1


async def waiting_for_locks(edge: Edge, count: int) -> bool:
    async with edge.plane.control.db.system() as tx:
        waiting: int = await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return waiting >= count


async def test_an_operators_key_has_no_maker_to_lose(edge: Edge) -> None:
    client = await edge.client(role="operator")
    assert (await client.get("/api/me")).json()["role"] == "operator"


async def test_nobody_keeps_a_key_whose_maker_is_gone(edge: Edge) -> None:
    """However the membership ended: a key of no member opens nothing, and its transaction sees nothing."""
    _, grace = await team(edge, (GRACE, "admin"))
    key = await key_of(edge, grace)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("DELETE FROM memberships WHERE user_id = (SELECT id FROM users WHERE email = $1)", GRACE)
    assert (await key.request("GET", "/api/flows")).status_code == 401
    async with edge.plane.control.db.system() as tx:
        await tx.execute("DELETE FROM users WHERE email = $1", GRACE)
    assert (await key.request("GET", "/api/flows")).status_code == 401  # it does not become an operator's


async def test_invitations_go_with_the_power_to_invite(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    for email, ends in (("one@example.com", "demoted"), ("two@example.com", "removed")):
        await grace.post("/api/team/invites", {"email": email, "role": "admin"})
        if ends == "demoted":
            await set_role(owner, GRACE, "operator")
            await set_role(owner, GRACE, "admin")
        else:
            await owner.request("DELETE", f"/api/team/{(await members(owner))[GRACE]['user_id']}")
        friend = await edge.signed_in(email)
        assert (await friend.get("/api/me")).json()["invitations"] == []
    await owner.post("/api/team/invites", {"email": "three@example.com", "role": "viewer"})
    assert len((await owner.get("/api/team/invites")).json()["invites"]) == 1


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_of_members_under_way_is_refused_to_who_was_demoted(edge: Edge, method: str) -> None:
    owner, grace, _ = await team(edge, (GRACE, "admin"), (ALAN, "admin"))
    db, path = edge.plane.control.db, f"/api/team/{(await members(owner))[ALAN]['user_id']}"
    async with db.system() as demoting, db.system() as looking:
        await demoting.execute(
            "UPDATE memberships SET role = 'operator' WHERE user_id = (SELECT id FROM users WHERE email = $1)", GRACE
        )
        body = {"json": {"role": "viewer"}} if method == "PATCH" else {}
        asking = asyncio.create_task(grace.request(method, path, **body))
        while not asking.done() and not await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    assert (await asking).status_code == 403
    assert (await members(owner))[ALAN]["role"] == "admin"


async def test_a_change_of_the_organization_keeps_one_that_was_made_meanwhile(edge: Edge) -> None:
    (owner,) = await team(edge)
    db = edge.plane.control.db
    async with db.system() as changing, db.system() as looking:
        await changing.execute("UPDATE organizations SET retention_days = 7")
        asking = asyncio.create_task(owner.request("PATCH", "/api/organization", json={"name": "Praxis"}))
        while not asking.done() and not await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    assert (await asking).status_code == 200
    shown = (await owner.get("/api/organization")).json()
    assert (shown["name"], shown["retention_days"]) == ("Praxis", 7)


async def test_an_invitation_under_way_goes_too(edge: Edge) -> None:
    """An admin who kept sending invitations had one on its way when the demotion deleted the others."""
    owner, grace = await team(edge, (GRACE, "admin"))
    db = edge.plane.control.db
    async with db.system() as demoting, db.system() as looking:
        await demoting.execute(
            "UPDATE memberships SET role = 'operator' WHERE user_id = (SELECT id FROM users WHERE email = $1)", GRACE
        )
        asking = asyncio.create_task(grace.post("/api/team/invites", {"email": "four@example.com", "role": "admin"}))
        while not asking.done() and not await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    assert (await asking).status_code == 403
    assert (await owner.get("/api/team/invites")).json()["invites"] == []


# --- idempotency keys -----------------------------------------------------------------------------------------------


async def stored(edge: Edge) -> str:
    async with edge.plane.control.db.system() as tx:
        rows = await tx.fetch(
            "SELECT encode(answer, 'escape') AS answer FROM idempotency_keys UNION ALL"
            " SELECT encode(answer, 'escape') FROM personal_idempotency_keys"
        )
    return "\n".join(str(row["answer"]) for row in rows)


async def test_a_secret_is_sent_once_and_stored_nowhere(edge: Edge) -> None:
    (owner,) = await team(edge)
    once = {"Idempotency-Key": "make"}
    first = await owner.post("/api/api-keys", ADMIN_KEY, headers=once)
    assert first.status_code == 201
    again = await owner.post("/api/api-keys", ADMIN_KEY, headers=once)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_mismatch")
    assert "never sent twice" in again.json()["error"]["message"]
    assert len((await owner.get("/api/api-keys")).json()["api_keys"]) == 1  # nor is a second key made
    secret = first.json()["secret"]
    assert "make" in await keys_in_use(edge) and secret.removeprefix("hum_live_") not in await stored(edge)


async def keys_in_use(edge: Edge) -> set[str]:
    async with edge.plane.control.db.system() as tx:
        return {row["key"] for row in await tx.fetch("SELECT key FROM idempotency_keys")}


@pytest.mark.parametrize(
    ("path", "body"), [("/api/api-keys", ADMIN_KEY), ("/api/flows", {"name": "a"}), ("/api/numbers/sync", {})]
)
async def test_an_answer_is_repeated_to_nobody_but_who_asked(edge: Edge, path: str, body: dict[str, str]) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    narrow = await key_of(edge, owner, "admin", "team:write", "flows:write", "numbers:write")
    first = await owner.post(path, body, headers={"Idempotency-Key": "x"})
    assert first.status_code in {200, 201}, first.text
    for other in (
        await narrow.request("POST", path, body, key="x"),  # her own key is another credential
        await grace.post(path, body, headers={"Idempotency-Key": "x"}),
    ):
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_mismatch"), other.text
        assert "another credential" in other.json()["error"]["message"] and "secret" not in other.json()
    again = await edge.signed_in(ADA)  # the same person, in another session
    repeated = await again.post(path, body, headers={"Idempotency-Key": "x"})
    if path == "/api/api-keys":
        assert repeated.status_code == 409
    else:
        assert (repeated.status_code, repeated.headers["idempotent-replayed"]) == (first.status_code, "true")
        assert repeated.json() == first.json()


async def test_a_bought_number_is_repeated_to_its_buyer_alone(edge: Edge) -> None:
    owner, grace = await team(edge, (GRACE, "admin"))
    body, once = {"e164": "+13175550200"}, {"Idempotency-Key": "buy"}
    assert (await owner.post("/api/numbers/buy", body, headers=once)).status_code == 201
    async with edge.plane.control.db.system() as tx:
        await tx.execute("DELETE FROM idempotency_keys")  # the purchase has a row of its own
    assert (await grace.post("/api/numbers/buy", body, headers=once)).json()["error"]["code"] == "idempotency_mismatch"
    assert (await owner.post("/api/numbers/buy", body, headers=once)).status_code == 201
    assert edge.plane.carrier.bought == ["+13175550200"]
