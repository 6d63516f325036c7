"""A client of the issuer: OpenID Connect's authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 §3.1, Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` in the answer).  Tokens are
verified by joserfc.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, MissingKeyError
from joserfc.jwk import KeySet

from hum import answers, visibletext
from hum.answers import BadAnswer
from hum.clock import Clock, monotonic_ms
from hum.settings import GatewaySettings

#: Seconds to wait for the issuer.
OIDC_SECONDS = 10.0
#: Seconds by which the issuer's clock may be off.
OIDC_LEEWAY_SECONDS = 60

#: Algorithms of ID tokens: never `none`, and no HMAC, as an attacker could use a public key as its secret.
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
SCOPES: Final = "openid email profile"
MAX_BYTES: Final = 1 << 20
#: Of an ID token, and the keys that its issuer may have.
MAX_TOKEN_CHARS: Final = 64 << 10
MAX_KEYS: Final = 100
#: Members of an answer, at all depths.
MAX_MEMBERS: Final = 10_000
MAX_SUBJECT_CHARS: Final = 255
MAX_EMAIL_CHARS: Final = 254  # RFC 5321
MAX_NAME_CHARS: Final = 200
#: Control characters and lone surrogates: PostgreSQL can't store NUL, and gRPC can't encode a surrogate.
NOT_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class IssuerUnavailable(Exception):  # noqa: N818 - a state of the world
    """The issuer does not respond, or not as OpenID Connect requires."""


class IdentityUnproven(Exception):  # noqa: N818 - a verdict
    """The issuer's answer does not prove the person's identity."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, as the issuer identifies them."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The discovery document (OpenID Connect Discovery 1.0 §3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    sends_iss: bool
    basic_secret: bool


class IssuerClient:
    """One issuer.

    Its discovery document is fetched once; its keys are fetched again if an unknown key signed a token.
    """

    def __init__(self, settings: GatewaySettings, clock: Clock = monotonic_ms) -> None:
        self._url, self._client_id = settings.oidc_issuer, settings.oidc_client_id
        self._secret, self._clock = settings.oidc_client_secret, clock
        self._timeout = aiohttp.ClientTimeout(total=OIDC_SECONDS)
        self._leeway, self._keys_interval_ms = OIDC_LEEWAY_SECONDS, settings.oidc_keys_seconds * 1000
        self._metadata: Metadata | None = None
        self._keys: KeySet | None = None
        self._keys_asked_ms = 0.0

    async def begin(
        self, redirect_uri: str, state: str, nonce: str, code_verifier: str, *, choose: bool = False
    ) -> str:
        """Return the URL where the browser signs in; with `choose`, the person selects an account in any case.

        Raises IssuerUnavailable.
        """
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(code_verifier),
            "code_challenge_method": "S256",
        }
        if choose:
            parameters["prompt"] = "select_account"  # OpenID Connect Core §3.1.2.1
        endpoint = (await self._discover()).authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    async def finish(self, answer: Mapping[str, str], redirect_uri: str, nonce: str, code_verifier: str) -> Identity:
        """Verify the issuer's answer and return the identity in it.  Raises IssuerUnavailable, IdentityUnproven."""
        metadata = await self._discover()
        issuer = answer.get("iss")
        if issuer != self._url and (issuer is not None or metadata.sends_iss):
            raise IdentityUnproven("the answer came from another issuer")
        tokens = await self._exchange(metadata, answer.get("code", ""), redirect_uri, code_verifier)
        claims = await self._claims(metadata, str(tokens.get("id_token", "")), nonce)
        if not claims.get("email") and metadata.userinfo_endpoint:
            claims |= await self._userinfo(metadata, str(tokens.get("access_token", "")), claims["sub"])
        return _identity(self._url, claims)

    # -- requests to the issuer

    async def _discover(self) -> Metadata:
        if self._metadata is None:
            payload = await self._ask("GET", self._url.rstrip("/") + "/.well-known/openid-configuration")
            if payload.get("issuer") != self._url:
                raise IssuerUnavailable(
                    f"{self._url} identifies itself as {payload.get('issuer')!r}; set HUM_OIDC_ISSUER to exactly that"
                )
            try:
                self._metadata = Metadata(
                    authorization_endpoint=str(payload["authorization_endpoint"]),
                    token_endpoint=str(payload["token_endpoint"]),
                    jwks_uri=str(payload["jwks_uri"]),
                    userinfo_endpoint=str(payload.get("userinfo_endpoint") or ""),
                    sends_iss=payload.get("authorization_response_iss_parameter_supported") is True,
                    basic_secret="client_secret_basic"
                    in payload.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]),
                )
            except KeyError as error:
                raise IssuerUnavailable(f"the issuer's discovery document lacks {error}") from error
        return self._metadata

    async def _exchange(self, metadata: Metadata, code: str, redirect_uri: str, code_verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
            "client_id": self._client_id,
        }
        headers = {}
        # RFC 6749 §2.3.1: id and secret are form-encoded first.
        if self._secret and metadata.basic_secret:
            headers["Authorization"] = aiohttp.encode_basic_auth(quote_plus(self._client_id), quote_plus(self._secret))
        elif self._secret:
            form["client_secret"] = self._secret
        return await self._ask("POST", metadata.token_endpoint, data=form, headers=headers)

    async def _userinfo(self, metadata: Metadata, access_token: str, subject: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        payload = await self._ask("GET", metadata.userinfo_endpoint, headers=headers)
        if payload.get("sub") != subject:  # OpenID Connect Core §5.3.4
            raise IdentityUnproven("the issuer's userinfo is for another subject")
        return payload

    async def _ask(self, verb: str, url: str, **options: Any) -> dict[str, Any]:
        """Fetch a JSON object.  A rejected POST raises IdentityUnproven; any other failure, IssuerUnavailable."""
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as http,
                http.request(verb, url, allow_redirects=False, **options) as answer,
            ):
                status, payload = answer.status, _json(await answers.read(answer.content.iter_any(), MAX_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise IssuerUnavailable(f"the issuer did not respond at {url.partition('?')[0]}") from error
        if verb == "POST" and 400 <= status < 500:
            raise IdentityUnproven(f"the issuer rejected the code: {str(payload.get('error', status))[:100]}")
        if status != 200:
            raise IssuerUnavailable(f"the issuer answered {status} at {url.partition('?')[0]}")
        return payload

    # -- the ID token

    async def _claims(self, metadata: Metadata, token: str, nonce: str) -> dict[str, Any]:
        """Verify a token and return its claims (OpenID Connect Core §3.1.3.7)."""
        try:
            claims = await self._verify(metadata, token)
            rules = jwt.JWTClaimsRegistry(
                leeway=self._leeway,
                iss={"essential": True, "value": self._url},
                aud={"essential": True, "value": self._client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            rules.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise IdentityUnproven(f"the ID token is invalid: {type(error).__name__}") from error
        party, audience = claims.get("azp"), claims["aud"]
        if party not in (None, self._client_id) or (isinstance(audience, list) and len(audience) > 1 and not party):
            raise IdentityUnproven("the ID token is for another client")
        return claims

    async def _verify(self, metadata: Metadata, token: str) -> dict[str, Any]:
        if self._keys is None:
            await self._fetch_keys(metadata)
        assert self._keys is not None, "fetched"
        _require_readable(token)
        try:
            return dict(jwt.decode(token, self._keys, algorithms=list(ALGORITHMS)).claims)
        except (InvalidKeyIdError, MissingKeyError):  # keys may have changed
            if self._clock() - self._keys_asked_ms < self._keys_interval_ms:
                raise
            await self._fetch_keys(metadata)
            return dict(jwt.decode(token, self._keys, algorithms=list(ALGORITHMS)).claims)

    async def _fetch_keys(self, metadata: Metadata) -> None:
        self._keys_asked_ms = self._clock()
        payload = await self._ask("GET", metadata.jwks_uri)
        try:
            self._keys = KeySet.import_key_set({"keys": payload["keys"][:MAX_KEYS]})
        except (JoseError, KeyError, ValueError, TypeError) as error:
            raise IssuerUnavailable("the issuer's keys can't be read") from error


def _identity(issuer: str, claims: Mapping[str, Any]) -> Identity:
    """Return the identity in these claims.

    Raises IdentityUnproven if a claim is not plain text or too long (OpenID Connect Core §2: `sub` has at most 255
    ASCII characters).
    """
    subject, email, name = (claims.get(claim) or "" for claim in ("sub", "email", "name"))
    for claim, text in (("sub", subject), ("email", email), ("name", name)):
        if not isinstance(text, str) or NOT_TEXT.search(text):
            raise IdentityUnproven(f"the claim {claim} is not plain text")
    if not subject.isascii() or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
        raise IdentityUnproven(f"the claim sub is not 1 to {MAX_SUBJECT_CHARS} ASCII characters")
    if len(email) > MAX_EMAIL_CHARS:
        raise IdentityUnproven(f"the claim email is longer than {MAX_EMAIL_CHARS} characters")
    return Identity(
        issuer=issuer,
        subject=subject,
        email=email,
        email_verified=claims.get("email_verified") in (True, "true"),
        name=visibletext.line(name[:MAX_NAME_CHARS]),
    )


def challenge(code_verifier: str) -> str:
    """Return the code challenge S256 (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")


def _require_readable(token: str) -> None:
    """Raise BadAnswer if a token, which is JSON in Base64 for its library, is large or deep in it."""
    if len(token) > MAX_TOKEN_CHARS:
        raise BadAnswer(f"an ID token of more than {MAX_TOKEN_CHARS} characters")
    for part in token.split(".")[:2]:
        answers.require_few(base64.urlsafe_b64decode(part + "=="))


def _json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in an answer.  Raises ValueError."""
    answers.require_few(body, MAX_MEMBERS)
    payload = json.loads(body)
    if not isinstance(payload, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the issuer's text is wrong, not a type of ours
    return payload
