"""The issuer as a server: discovery, authorization page, token endpoint, keys, userinfo.

Implements OpenID Connect Core 1.0 with PKCE (RFC 7636, S256 only) and `iss` in its responses (RFC 9207).  Under
/sandbox, tests add people, rotate the keys, and set the claims of the next ID token or one defect in it.
"""

import base64
import hmac
import html
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.serving import serving
from sandbox.signin.people import Grant, People, User, folded

DEMO = User("owner@example.com", "Demo Owner")
TOKEN_SECONDS = 600
AUTHORIZATION_PARAMETERS = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")

#: Possible defects of the next ID token.
MISCHIEF: dict[str, Callable[[dict[str, Any]], None]] = {
    "expired": lambda claims: claims.update(iat=claims["iat"] - 7200, exp=claims["iat"] - 3600),
    "wrong_nonce": lambda claims: claims.update(nonce="another"),
    "wrong_audience": lambda claims: claims.update(aud="another"),
    "wrong_issuer": lambda claims: claims.update(iss="https://issuer.example"),
    "no_subject": lambda claims: claims.pop("sub"),
    "unsigned": lambda _: None,
    "shared_secret": lambda _: None,
    "strange_key": lambda _: None,
}


class Issuer:
    """One issuer with one client."""

    def __init__(self, client_id: str, client_secret: str, redirect_uri: str, people: tuple[User, ...]) -> None:
        self.client_id, self.client_secret, self.redirect_uri = client_id, client_secret, redirect_uri
        self.people, self.url, self.mischief = People(), "", ""
        #: Claims that replace the person's in the next ID token.
        self.claims: dict[str, Any] = {}
        self._keys: list[RSAKey] = []
        for person in (DEMO, *people):
            self.people.add(person)

    @classmethod
    @asynccontextmanager
    async def serve(
        cls,
        *,
        client_id: str = "hum",
        client_secret: str,
        redirect_uri: str,
        listen: str = "127.0.0.1:0",
        people: tuple[User, ...] = (),
    ) -> "AsyncIterator[Issuer]":
        """Serve until the block ends; `url` is the issuer's identifier."""
        issuer = cls(client_id, client_secret, redirect_uri, people)
        async with serving(Starlette(routes=issuer.routes()), listen) as (host, port):
            issuer.url = f"http://{host}:{port}"
            yield issuer

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/authorize", self._authorize),
            Route("/authorize", self._choose, methods=["POST"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/jwks", self._jwks),
            Route("/userinfo", self._userinfo),
            Route("/sandbox/people", self._add_person, methods=["POST"]),
            Route("/sandbox/keys", self._rotate, methods=["POST"]),
            Route("/sandbox/claims", self._set_claims, methods=["POST"]),
            Route("/sandbox/mischief", self._set_mischief, methods=["POST"]),
        ]

    @property
    def keys(self) -> list[RSAKey]:
        """The verification keys, newest last; the first is generated on first use, since that takes a while."""
        if not self._keys:
            self._keys.append(_new_key())
        return self._keys

    # -- OpenID Connect

    async def _discovery(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "email", "profile"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        if (problem := self._request_problem(query)) is not None:
            return Response(problem, 400)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(query.get(name, ""))}">'
            for name in AUTHORIZATION_PARAMETERS
        )
        buttons = "".join(
            f'<p><button name="email" value="{html.escape(person.email)}">{html.escape(person.name)}'
            f" &lt;{html.escape(person.email)}&gt;</button></p>"
            for person in self.people.known.values()
        )
        return HTMLResponse(
            "<!doctype html><title>Sandbox sign-in</title><h1>Sandbox sign-in</h1>"
            "<p>A stand-in for your identity provider. It lets anybody sign in; production refuses to use it.</p>"
            f'<form method="post" action="/authorize">{hidden}{buttons}</form>'
            f'<form method="post" action="/authorize">{hidden}<p><input name="email" type="email" required '
            'placeholder="you@example.com"> <button>Sign in as</button></p></form>'
        )

    def _request_problem(self, query: dict[str, str]) -> str | None:
        if query.get("client_id") != self.client_id or query.get("redirect_uri") != self.redirect_uri:
            return "unknown client or redirect_uri"
        if not query.get("code_challenge") or query.get("code_challenge_method", "S256") != "S256":
            return "PKCE with S256 is required"
        return None

    async def _choose(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if (problem := self._request_problem(form)) is not None:
            return Response(problem, 400)
        email = form.get("email", "")
        person = self.people.known.get(folded(email)) or User(email, email.partition("@")[0])
        grant = Grant(person, form["client_id"], form["redirect_uri"], form.get("nonce", ""), form["code_challenge"])
        response = {"code": self.people.grant(grant), "state": form.get("state", ""), "iss": self.url}
        return RedirectResponse(f"{self.redirect_uri}?{urlencode(response)}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if self._client(request, form) != (self.client_id, self.client_secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        grant = self.people.redeem(
            form.get("code", ""), self.client_id, form.get("redirect_uri", ""), form.get("code_verifier", "")
        )
        if grant is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(
            {
                "access_token": self.people.access(grant.person),
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "id_token": self._id_token(grant),
            },
            headers={"Cache-Control": "no-store"},
        )

    def _client(self, request: Request, form: dict[str, str]) -> tuple[str, str]:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            name, _, secret = base64.b64decode(sent).decode().partition(":")
            return name, secret
        return form.get("client_id", ""), form.get("client_secret", "")

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": grant.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "nonce": grant.nonce,
            **grant.person.claims(),
            **self.claims,
        }
        self.claims = {}
        mischief, self.mischief = self.mischief, ""
        if (spoil := MISCHIEF.get(mischief)) is not None:
            spoil(claims)
        if mischief == "unsigned":
            return f"{_parts({'alg': 'none', 'typ': 'JWT'}, claims)}."
        key = _new_key() if mischief == "strange_key" else self.keys[-1]
        # The public key as an HMAC secret: a careless verifier accepts it.
        if mischief == "shared_secret":
            parts = _parts({"alg": "HS256", "kid": key.kid}, claims)
            return f"{parts}.{_base64(hmac.digest(key.as_pem(private=False), parts.encode(), 'sha256'))}"
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _userinfo(self, request: Request) -> Response:
        person = self.people.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        return JSONResponse(person.claims()) if person else JSONResponse({"error": "invalid_token"}, 401)

    # -- sandbox API

    async def _add_person(self, request: Request) -> Response:
        body = await request.json()
        verified, sub = body.get("email_verified", True), body.get("sub", "")
        self.people.add(User(body["email"], body.get("name", ""), verified, sub))
        return Response(status_code=204)

    async def _rotate(self, _: Request) -> Response:
        """Replace the keys with a new one."""
        self._keys = [_new_key()]
        return Response(status_code=204)

    async def _set_claims(self, request: Request) -> Response:
        self.claims = await request.json()
        return Response(status_code=204)

    async def _set_mischief(self, request: Request) -> Response:
        mischief = (await request.json())["token"]
        if mischief not in MISCHIEF:
            return JSONResponse({"known": sorted(MISCHIEF)}, 400)
        self.mischief = mischief
        return Response(status_code=204)


def _parts(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return the signed part of a JWT."""
    return ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))


def _base64(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).decode().rstrip("=")


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": secrets.token_hex(4)})
