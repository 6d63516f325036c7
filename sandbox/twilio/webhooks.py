"""Requests to the customer's URLs, as Twilio makes them: signed, with connection overrides, retried with one token.

The fragment of a configured URL (`#ct=2000&rt=5000&tt=15000&rc=5&rp=all`) sets connection overrides; it is neither sent
nor signed.
"""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import aiohttp
from yarl import URL

from sandbox.loopclock import now
from sandbox.twilio.signature import sign

MAX_WEBHOOKS = 20_000
FETCH_S = 15.0
RETRY_POLICIES = {"4xx", "5xx", "ct", "rt", "all"}


@dataclass(frozen=True, slots=True)
class ConnectionOverrides:
    """Connection overrides; the defaults are Twilio's: one retry, only when the connection failed."""

    connect_ms: int = 5000
    read_ms: int = 15000
    total_ms: int = 15000
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    def retries_after(self, failure: str) -> bool:
        return failure in self.retry_on or "all" in self.retry_on


def split_overrides(url: str) -> tuple[str, ConnectionOverrides]:
    """Split a configured URL into the URL to request and its overrides.  Values are clamped, unknown names ignored."""
    plain, _, fragment = url.partition("#")
    overrides = {name: values[-1] for name, values in parse_qs(fragment).items()}
    standard = ConnectionOverrides()

    def number(name: str, default: int, low: int, high: int) -> int:
        text = overrides.get(name, "")
        return min(high, max(low, int(text))) if text.isdecimal() else default

    policies = frozenset(overrides.get("rp", "").split(",")) & RETRY_POLICIES
    return plain, ConnectionOverrides(
        connect_ms=number("ct", standard.connect_ms, 100, 10_000),
        read_ms=number("rt", standard.read_ms, 100, 15_000),
        total_ms=number("tt", standard.total_ms, 100, 15_000),
        retries=number("rc", standard.retries, 0, 5),
        retry_on=policies or standard.retry_on,
    )


@dataclass(slots=True)
class WebhookAttempt:
    """One request: its response, or in `error` why there was none."""

    at_monotonic: float
    took_ms: float = 0.0
    status: int | None = None
    content_type: str = ""
    body: str = ""
    content: bytes = b""
    """Body of a sound file for a <Play>; empty for text."""
    error: str | None = None

    @property
    def failure(self) -> str | None:
        """The retry policy's code of the failure; None if the response is usable."""
        if self.status is None:
            return self.error
        if 200 <= self.status < 300:
            return None
        return "5xx" if self.status >= 500 else "4xx"


@dataclass(slots=True)
class Webhook:
    """One webhook to the customer, with all its attempts."""

    kind: str
    """`voice`, `fallback`, `action`, `redirect`, `status`, `whisper`, `play` or `amd`; of texts `sms`, `sms_fallback`, `sms_status`."""
    method: str
    url: str
    parameters: dict[str, str]
    idempotency_token: str
    attempts: list[WebhookAttempt] = field(default_factory=list)

    @property
    def answer(self) -> WebhookAttempt:
        return self.attempts[-1]

    @property
    def error_code(self) -> int | None:
        """11205: no connection; 11200: no usable response; None: no error."""
        if self.answer.failure is None:
            return None
        return 11205 if self.answer.failure == "ct" else 11200

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self)
        for attempt in fields["attempts"]:
            attempt["content"] = len(attempt["content"])
        return fields


@dataclass(frozen=True, slots=True)
class FetchedFile:
    content_type: str
    content: bytes


class Courier:
    """The sender of webhooks; `sent` has the latest, oldest first."""

    def __init__(self, auth_token: str) -> None:
        self.auth_token = auth_token
        self.sent: deque[Webhook] = deque(maxlen=MAX_WEBHOOKS)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        kind: str,
        url: str,
        parameters: dict[str, str],
        method: str = "POST",
        watch: Callable[[Webhook], None] = lambda _: None,
    ) -> Webhook:
        """Deliver one webhook; call `watch` as it is sent.  Never raises for failures of the other side."""
        plain, overrides = split_overrides(url)
        if method == "GET" and parameters:
            plain += ("&" if "?" in plain else "?") + urlencode(parameters)
        webhook = Webhook(kind, method, plain, parameters, secrets.token_hex(16))
        self.sent.append(webhook)
        watch(webhook)
        for _ in range(1 + overrides.retries):
            attempt = await self._attempt(webhook, overrides)
            webhook.attempts.append(attempt)
            if attempt.failure is None or not overrides.retries_after(attempt.failure):
                break
        return webhook

    async def fetch(self, url: str, max_bytes: int) -> FetchedFile | None:
        """Fetch a file of a message, as it is sent to handsets; None if there is no usable response.

        The carrier asks for the headers first.  Of a larger file, `max_bytes` and one more are read.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        headers, timeout = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}, aiohttp.ClientTimeout(total=FETCH_S)
        try:
            for method in ("HEAD", "GET"):
                async with self._session.request(
                    method, URL(url, encoded=True), headers=headers, timeout=timeout
                ) as response:
                    if response.status != 200:
                        return None
                    content = bytearray()
                    async for chunk in response.content.iter_chunked(64 << 10):
                        content += chunk
                        if len(content) > max_bytes:
                            break
        except (TimeoutError, aiohttp.ClientError):
            return None
        return FetchedFile(response.headers.get("Content-Type", ""), bytes(content))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _attempt(self, webhook: Webhook, overrides: ConnectionOverrides) -> WebhookAttempt:
        attempt = WebhookAttempt(now())
        fields = sorted(webhook.parameters.items()) if webhook.method == "POST" else []
        headers = {
            "X-Twilio-Signature": sign(self.auth_token, webhook.url, fields),
            "I-Twilio-Idempotency-Token": webhook.idempotency_token,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        timeout = aiohttp.ClientTimeout(
            total=overrides.total_ms / 1000,
            sock_connect=overrides.connect_ms / 1000,
            sock_read=overrides.read_ms / 1000,
        )
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                webhook.method,
                URL(webhook.url, encoded=True),
                data=urlencode(fields) if webhook.method == "POST" else None,
                headers=headers | ({"Content-Type": "application/x-www-form-urlencoded"} if fields else {}),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                attempt.content_type = response.headers.get("Content-Type", "")
                if attempt.content_type.startswith("audio/"):
                    attempt.content = await response.read()
                else:
                    attempt.body = await response.text(errors="replace")
                attempt.status = response.status
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
            attempt.error = "ct"
        except (TimeoutError, aiohttp.ClientError):
            attempt.error = "rt"
        attempt.took_ms = (now() - attempt.at_monotonic) * 1000
        return attempt
