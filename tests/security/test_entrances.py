"""Where customers' URLs enter: one list of what leads inside, and at each entrance nothing is sent there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiohttp import web

from control.clients.http import GuardedClient
from control.webhooks.feature import sender_of
from hum.process import home
from hum.secrets import Keyring
from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import Shop, serving
from tests.contract.test_knowledge import convert
from tests.control.test_egress import BLOCKED
from tests.support.cases import in_turn
from tests.support.examples import sample
from tests.support.present import present

#: Spellings that hide where they lead, other schemes and ports, and names that lead inside; `BLOCKED` has the addresses.
ODD = """
    https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/ https://0x7f.1/ https://017700000001/ https://0177.0.0.1/ https://127.1/
    https://[::ffff:7f00:1]/ https://[::1%25eth0]/ https://[fe80::1%25eth0]/ https://127.0.0.1.:443/ https://\u2460.0.0.1.2/
    https://127.0.0.1%00.example.com/ https://user@127.0.0.1/ https://user:secret@example.com/ https://example.com\\@127.0.0.1/
    https://localhost/ https://localhost.:8443/ https://a.invalid/ https://inside.example/ https://mixed.example/
    http://example.com/ https://example.com:22/ https://example.com:99999/ https:// //example.com
    file:///etc/passwd ftp://example.com/ gopher://example.com/ javascript:1
""".split()
LISTED = [*ODD, *(f"https://[{each}]/" if ":" in each else f"https://{each}/" for each in BLOCKED)]
NAMES = {
    "localhost": ["127.0.0.1"],
    "inside.example": ["169.254.169.254"],
    "mixed.example": ["1.1.1.1", "::ffff:10.0.0.1"],
    "example.com": ["93.184.215.14"],
}
MANY = dict.fromkeys(
    ("rate_burst", "organization_rate_burst", "unknown_rate_burst", "max_webhooks", "crm_connectors", "mcp_servers",
     "http_tools", "knowledge_documents", "studio_proposals_per_day"),
    10_000,
)  # fmt: skip


def look_up(host: str, _: int) -> list[str]:
    if host not in NAMES:
        raise OSError(f"{host} is not known")
    return NAMES[host]


@pytest.fixture
def limits() -> dict[str, Any]:
    return {**MANY, "egress_allow": ""}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are the names that there are, for every guarded client."""
    monkeypatch.setitem(present(GuardedClient.__init__.__kwdefaults__), "lookup", look_up)


Ask = Callable[[Edge, httpx.AsyncClient, str], Awaitable[str]]
"""Have this URL asked for; why nothing came of it."""


async def made(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> str:
    """The path of what was made; Refused if its URL is not taken."""
    answer = await http.post(path, json=body)
    if answer.status_code == 400:
        (field, *_) = answer.json()["error"]["details"]
        assert field["field"].endswith("url"), answer.text
        raise Refused(field["reason"])
    assert answer.status_code == 201, answer.text
    return f"{path}/{answer.json()['id']}"


class Refused(Exception):  # noqa: N818 - what is to be
    """The URL is not taken at all."""


async def webhook(edge: Edge, http: httpx.AsyncClient, url: str) -> str:
    path = await made(http, "/api/webhooks", {"url": url})
    sent = await http.post(f"{path}/test", json={})
    settings, guarded = edge.plane.settings, GuardedClient.open(edge.plane.settings)
    keyring = Keyring.parse(home.secret_keys(settings))
    await sender_of(settings, SimpleNamespace(db=edge.plane.control.db, web=guarded, keyring=keyring)).send_due()  # type: ignore[arg-type]
    await guarded.close()
    (attempt,) = (await http.get(f"{path}/deliveries/{sent.json()['id']}")).json()["attempts"]
    assert attempt["error"] and await http.delete(path)
    return f"{attempt['error']} {attempt['message']}"


async def connector(_: Edge, http: httpx.AsyncClient, url: str) -> str:
    path = await made(http, "/api/crm-connectors", {"name": "Ours", "base_url": url})
    log = (await http.post(f"{path}/ping")).json()
    assert log["outcome"] == "failed"
    return f"{log['reason']} {log['message']}"


async def tool(_: Edge, http: httpx.AsyncClient, url: str) -> str:
    body = {"name": f"t{abs(hash(url))}", "description": "x", "url": url}
    tried = (await http.post(f"{await made(http, '/api/tools', body)}/test", json={})).json()
    assert not tried["ok"]
    return str(tried["error"])


async def mcp_server(_: Edge, http: httpx.AsyncClient, url: str, **more: str) -> str:
    path = await made(http, "/api/mcp-servers", {"name": f"S{abs(hash(url))}", "url": url, **more})
    read = (await http.post(f"{path}/refresh")).json()
    assert read["status"] == "failing", read
    return str(read["failure"])


async def token_url(edge: Edge, http: httpx.AsyncClient, url: str) -> str:
    """The server itself is at an address that would be asked."""
    client = {"oauth_token_url": url, "oauth_client_id": "a", "oauth_client_secret": "b"}
    return await mcp_server(edge, http, "https://example.com/mcp", **client, name=f"S{abs(hash(url))}")


async def page(edge: Edge, http: httpx.AsyncClient, url: str) -> str:
    path = await made(http, "/api/knowledge", {"name": "x", "url": url})
    document = await convert(edge, http, path.rpartition("/")[2])
    assert (document["status"], document["passages"]) == ("failed", 0)
    return str(document["failure"])


async def proposal(_: Edge, http: httpx.AsyncClient, url: str) -> str:
    """No flow is made of a page that can't be had."""
    answer = await http.post("/api/flows/proposals", json={"description": "x", "url": url})
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["details"][0]["reason"])


ENTRANCES: dict[str, Ask] = {
    each.__name__: each for each in (webhook, connector, tool, mcp_server, token_url, page, proposal)
}
#: What is said of a URL that was not asked for.
WORDS = (
    "not public",
    "can't be resolved",
    "begin with https",
    "port must",
    "URL is not valid",
    "usual form",
    "user name",
    "backslash",
)


@pytest.mark.sampled
@in_turn(("entrance",), ENTRANCES)
async def test_nothing_is_sent_inside(
    edge: Edge, entrance: str, record_property: Callable[[str, object], None]
) -> None:
    http, told, tried = await edge.client(), dict[str, str](), sample(LISTED, 6)
    for url in tried:
        try:
            told[url] = await ENTRANCES[entrance](edge, http, url)
        except Refused as error:
            told[url] = f"when it is saved: {error}"
    assert len(told) == len(set(tried)) > 90 // 6
    assert {url: why for url, why in told.items() if not any(word in why for word in WORDS)} == {}
    record_property(f"{entrance}: refused when saved", sum(why.startswith("when") for why in told.values()))
    record_property(f"{entrance}: refused when asked", sum(not why.startswith("when") for why in told.values()))


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with serving() as served:
        yield served


async def moved(_: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": "/inside"})


class TestOnTheWay:
    """A system that may be asked, and that leads elsewhere."""

    @pytest.fixture
    def limits(self) -> dict[str, Any]:
        return {**MANY, "egress_allow": "127.0.0.1/32"}

    @in_turn(("entrance",), ENTRANCES)
    async def test_no_redirect_is_followed(self, edge: Edge, shop: Shop, entrance: str) -> None:
        http = await edge.client()
        shop.asked.clear()
        for name in ("/here", "/here/ping"):
            shop.paths[name] = moved
        if entrance == "token_url":
            mcp = {"oauth_token_url": f"{shop.url}/here", "oauth_client_id": "a", "oauth_client_secret": "b"}
            await mcp_server(edge, http, f"{shop.url}/mcp", **mcp)
        else:
            await ENTRANCES[entrance](edge, http, f"{shop.url}/here")
        assert {asked[1] for asked in shop.asked} <= {"/here", "/here/ping"} and shop.asked

    @in_turn(("entrance",), ENTRANCES)
    async def test_a_name_that_was_public_when_it_was_saved_is_looked_at_again(
        self, edge: Edge, shop: Shop, entrance: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It leads to the machine's own network now, and was answered with two addresses, of which one is allowed."""
        http, port = await edge.client(), shop.url.rpartition(":")[2]
        monkeypatch.setitem(NAMES, "rebound.example", ["127.0.0.1", "10.0.0.1"])
        why = await ENTRANCES[entrance](edge, http, f"http://rebound.example:{port}/here")
        assert "not public" in why and shop.asked == []
