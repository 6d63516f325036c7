"""Requests of HTTP tools: bounded in time, size and number, with secrets that are redacted from every record."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prometheus_client import Counter as Metric

from control.base import egress, redaction
from control.base.egress import EgressError, Reason
from control.clients.http import GuardedClient, HttpAnswer
from control.httptools import toolrequest
from control.httptools.rendering import in_thread
from control.httptools.templates import CannotRender
from control.httptools.toolrequest import Definition, HttpRequest, PreparedRequest, ToolOutcome
from hum.clock import monotonic_ms
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.secrets import Keyring, SealContext, Unsealable
from hum.settings.httptools import HttpToolSettings
from storage import http_tools
from storage.db import Db

#: Requests of one organization's tools that one process makes at once.
HTTP_TOOL_REQUESTS = 20

LOG = log(__name__)
REQUESTS = Metric("hum_http_tool_requests_total", "Requests of HTTP tools", ["outcome"])
TABLE = "tool_secrets"
CROWDED = "Too many requests of this organization's tools are under way."


@dataclass(frozen=True, slots=True)
class ToolExchange:
    """A tool's execution: the redacted request, the answer without secrets, and the outcome for the agent."""

    request: HttpRequest | None
    status: int | None
    body: str
    truncated: bool
    outcome: ToolOutcome
    attempts: int
    duration_ms: int


class _NotSent(Exception):  # noqa: N818 - names the event
    """The request was not sent; the message is for the agent."""


@dataclass(slots=True)
class _Attempts:
    """The progress of a tool's request through its attempts."""

    until_ms: float
    count: int = 0
    redacted: HttpRequest | None = None
    answer: HttpAnswer | None = None
    secrets: Collection[str] = ()


#: This process's requests in flight, by organization, across all instances of `Requests`.
_RUNNING = Counter[UUID]()


class Requests:
    """The sender of tools' requests."""

    def __init__(self, db: Db, web: GuardedClient, keyring: Keyring, settings: HttpToolSettings) -> None:
        self._db, self._web, self._keyring, self._settings = db, web, keyring, settings

    async def send(
        self, org: UUID, definition: Definition, values: Mapping[str, Any], key: str, timeout_ms: int
    ) -> ToolExchange:
        """Send a tool's request, with retries on temporary failures.  `key`: the idempotency key of all attempts."""
        began_ms = monotonic_ms()
        at = _Attempts(began_ms + timeout_ms)
        with _counted(org) as is_admitted:
            error = await self._request(org, definition, values, key, at) if is_admitted else CROWDED
            body, response = "", None
            if at.answer is not None:
                body, response, complaint = await in_thread(_read, at.answer, at.secrets)
                error = error or complaint
            outcome = await in_thread(toolrequest.outcome, definition, values, response, error)
        REQUESTS.labels("ok" if outcome.ok else "failed").inc()
        return ToolExchange(
            at.redacted,
            at.answer.status if at.answer else None,
            body[: toolrequest.SHOWN_CHARS],
            at.answer.truncated if at.answer else False,
            outcome,
            at.count,
            round(monotonic_ms() - began_ms),
        )

    async def _request(
        self, org: UUID, definition: Definition, values: Mapping[str, Any], key: str, at: _Attempts
    ) -> str | None:
        """Render a request and send it, within its time; return the error, if any."""
        try:
            async with asyncio.timeout((at.until_ms - monotonic_ms()) / 1000):
                request = await in_thread(toolrequest.render_request, definition, values, key)
                at.redacted = await in_thread(toolrequest.redacted, request)
                secrets = await self._secrets(org, request)
                at.secrets = secrets.values()
                filled = await in_thread(toolrequest.fill_secrets, request, secrets)
                await self._attempt(org, definition, filled, at)
        except (CannotRender, _NotSent) as trouble:
            return str(trouble)
        except EgressError as trouble:
            return trouble.message
        except TimeoutError:
            return "The server did not answer in time."
        return None

    async def _secrets(self, org: UUID, request: PreparedRequest) -> dict[str, str]:
        """Return the secrets that a request's marks name.  Raises _NotSent if one is missing or for another host."""
        if not request.secrets:
            return {}
        async with self._db.tenant(org) as tx:
            rows = await http_tools.named_secrets(tx, request.secrets)
        host, secrets = egress.parse_url(request.url).host, dict[str, str]()
        for row in rows:
            if row.host != host:
                raise _NotSent(f"The secret {row.name} is for another host.")
            try:
                secrets[row.name] = self._keyring.open(row.secret, SealContext(TABLE, row.id, org)).decode()
            except Unsealable as error:
                LOG.exception("could not open a tool's secret; set it again", secret=str(row.id))
                raise _NotSent(f"HUM can't open the secret {row.name} any more; set it again.") from error
        if missing := sorted(request.secrets - secrets.keys()):
            raise _NotSent(f"There is no secret {missing[0]}.")
        return secrets

    async def _attempt(self, org: UUID, definition: Definition, request: HttpRequest, at: _Attempts) -> None:
        """Send a request until it succeeds, fails for good, or attempts or time are used up.  Raises EgressError."""
        limit, pause = 1 + definition.get("retries", 0), self._settings.http_tool_retry_seconds
        while True:
            at.count += 1
            reason: Reason | None = None
            try:
                at.answer = await self._web.request(
                    request.method,
                    request.url,
                    org=org,
                    headers=request.headers,
                    body=request.body,
                    total_seconds=max(0.001, (at.until_ms - monotonic_ms()) / 1000),
                    response_bytes=toolrequest.ANSWER_BYTES,
                    truncate=True,
                )
            except EgressError as error:
                at.answer = None
                reason = error.reason
                if at.count >= limit or not toolrequest.is_temporary(reason, None):
                    raise
            else:
                if at.count >= limit or not toolrequest.is_temporary(None, at.answer.status):
                    return
            seconds = pause * 2 ** (at.count - 1)
            if monotonic_ms() + seconds * 1000 >= at.until_ms:
                if at.answer is None:
                    raise EgressError(reason or Reason.TIMEOUT, "The server did not answer in time.")
                return
            await asyncio.sleep(seconds)


@contextmanager
def _counted(org: UUID) -> Iterator[bool]:
    """Count an organization's request until its outcome is rendered; yield False if too many are in flight."""
    if _RUNNING[org] >= HTTP_TOOL_REQUESTS:
        yield False
        return
    _RUNNING[org] += 1
    try:
        yield True
    finally:
        _RUNNING[org] -= 1
        if not _RUNNING[org]:
            del _RUNNING[org]


def _read(answer: HttpAnswer, secrets: Collection[str]) -> tuple[str, dict[str, Any], str | None]:
    """Return an answer's body, the answer for templates, both without the request's secrets, and its error, if any."""
    text = redaction.hidden(answer.body.decode("utf-8", "replace").replace("\0", ""), secrets)
    response, error = toolrequest.interpret(answer.status, text, truncated=answer.truncated)
    body = redaction.hidden_within(response["body"], secrets)
    # JSON may escape a secret, which shows only once it is parsed.
    if body != response["body"]:
        response["body"], text = body, body if isinstance(body, str) else dumped(body)
    return text, response, error
