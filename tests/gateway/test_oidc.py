"""An issuer whose JSON is nested deeper than any parser reads: a failure of its own, and no bug of the gateway."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc.jwk import ECKey, KeySet

from gateway.oidc import IdentityUnproven, IssuerClient, IssuerUnavailable
from hum.settings import GatewaySettings

DEEP = "[" * 100_000
TOKEN = base64.urlsafe_b64encode(DEEP.encode()).decode().rstrip("=") + ".e30.AAAA"


@pytest.fixture
async def answers() -> AsyncIterator[tuple[str, dict[str, str]]]:
    """An issuer's URL, and the endpoints that answer with something of their own."""
    own: dict[str, str] = {}
    keys = KeySet([ECKey.generate_key("P-256")]).as_dict(private=False)

    async def answer(request: web.Request) -> web.Response:
        if request.path in own:
            return web.Response(text=own[request.path], content_type="application/json")
        url = str(server.make_url("")).rstrip("/")
        endpoints = {"authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token"}
        documents = {"/keys": keys, "/token": {"id_token": TOKEN}}
        return web.json_response(documents.get(request.path, {"issuer": url, "jwks_uri": f"{url}/keys", **endpoints}))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), own


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("/.well-known/openid-configuration", IssuerUnavailable),
        ("/token", IssuerUnavailable),
        ("/keys", IssuerUnavailable),
        ("", IdentityUnproven),
    ],
    ids=["discovery", "token", "keys", "the ID token"],
)
async def test_json_that_is_nested_too_deep(
    answers: tuple[str, dict[str, str]], tmp_path: Path, path: str, failure: type[Exception]
) -> None:
    url, own = answers
    if path:
        own[path] = DEEP
    issuer = IssuerClient(GatewaySettings(home=tmp_path, oidc_issuer=url, oidc_client_id="hum"))
    with pytest.raises(failure):
        await issuer.finish({"code": "c"}, "https://hum.example/auth/callback", "nonce", "verifier")
