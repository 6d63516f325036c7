"""Sending the requests of HTTP tools: bounded in time, size and number, with secrets that nothing shows afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prometheus_client import Counter as Metric

from control.base import egress, redaction
from control.base.egress import Outside, Reason
from control.clients.http import Answer, Guarded
from control.httptools import rules
from control.httptools.rules import Definition, Outcome, Prepared, Request
from control.httptools.templates import CannotRender
from control.tools import dumped
from hum.clock import monotonic_ms
from hum.secrets import Keyring, Place, Unsealable
from hum.settings.httptools import HttpToolSettings
from hum.telemetry import log
from storage import http_tools
from storage.db import Db

LOG = log(__name__)
REQUESTS = Metric("hum_http_tool_requests_total", "Requests of HTTP tools", ["outcome"])
TABLE = "tool_secrets"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of a tool: the request as it may be shown, the answer without secrets, and what the agent gets."""

    request: Request | None
    status: int | None
    body: str
    truncated: bool
    outcome: Outcome
    attempts: int
    duration_ms: int


class _Failed(Exception):  # noqa: N818 - it says what it is
    """There is no answer; why, as a sentence."""


@dataclass(slots=True)
class _Attempts:
    """A tool's request as it goes on."""

    until_ms: float
    count: int = 0
    shown: Request | None = None
    answer: Answer | None = None
    secrets: Collection[str] = ()


#: Requests of this process under way, by organization: whoever sends them.
_RUNNING = Counter[UUID]()


class Requests:
    """Sends requests of tools."""

    def __init__(self, db: Db, web: Guarded, keyring: Keyring, settings: HttpToolSettings) -> None:
        self._db, self._web, self._keyring, self._settings = db, web, keyring, settings

    async def send(
        self, org: UUID, definition: Definition, values: Mapping[str, Any], key: str, timeout_ms: int
    ) -> Exchange:
        """Send a tool's request, again where that may help; `key` is the same for each attempt."""
        began_ms = monotonic_ms()
        at, error = _Attempts(began_ms + timeout_ms), None
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._counted(org):
                # Templates are bounded, but milliseconds are much for the loop that carries everybody's calls.
                request = await asyncio.to_thread(rules.prepared, definition, values, key)
                at.shown = await asyncio.to_thread(rules.shown, request)
                secrets = await self._secrets(org, request)
                at.secrets = secrets.values()
                await self._attempt(org, definition, await asyncio.to_thread(rules.filled, request, secrets), at)
        except CannotRender as trouble:
            error = str(trouble)
        except _Failed as trouble:
            error = str(trouble)
        except Outside as trouble:
            error = trouble.message
        except TimeoutError:
            error = "The server did not answer in time."
        body, response = "", None
        if at.answer is not None:
            body, response, bad = await asyncio.to_thread(_read, at.answer, at.secrets)
            error = error or bad
        outcome = await asyncio.to_thread(rules.outcome, definition, values, response, error)
        REQUESTS.labels("ok" if outcome.ok else "failed").inc()
        return Exchange(
            at.shown,
            at.answer.status if at.answer else None,
            body[: rules.SHOWN_CHARS],
            at.answer.truncated if at.answer else False,
            outcome,
            at.count,
            round(monotonic_ms() - began_ms),
        )

    @asynccontextmanager
    async def _counted(self, org: UUID) -> AsyncIterator[None]:
        if _RUNNING[org] >= self._settings.http_tool_requests:
            raise _Failed("Too many requests of this organization's tools are under way.")
        _RUNNING[org] += 1
        try:
            yield
        finally:
            _RUNNING[org] -= 1
            if not _RUNNING[org]:
                del _RUNNING[org]

    async def _secrets(self, org: UUID, request: Prepared) -> dict[str, str]:
        """The secrets that a request has marks for, each of which its host may get."""
        if not request.secrets:
            return {}
        async with self._db.tenant(org) as tx:
            found = await http_tools.named_secrets(tx, request.secrets)
        host, opened = egress.parse_url(request.url).host, dict[str, str]()
        for row in found:
            if row.host != host:
                raise _Failed(f"The secret {row.name} is for another host.")
            try:
                opened[row.name] = self._keyring.open(row.secret, Place(TABLE, row.id, org)).decode()
            except Unsealable as error:
                LOG.exception("a tool's secret can't be opened", secret=str(row.id))
                raise _Failed(f"HUM can't open the secret {row.name} any more; set it again.") from error
        if missing := sorted(request.secrets - opened.keys()):
            raise _Failed(f"There is no secret {missing[0]}.")
        return opened

    async def _attempt(self, org: UUID, definition: Definition, request: Request, at: _Attempts) -> None:
        """Raises Outside."""
        most, pause = 1 + definition.get("retries", 0), self._settings.http_tool_retry_seconds
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
                    response_bytes=rules.ANSWER_BYTES,
                    truncate=True,
                )
            except Outside as error:
                at.answer = None
                reason = error.reason
                if at.count >= most or not rules.may_pass(reason, None):
                    raise
            else:
                if at.count >= most or not rules.may_pass(None, at.answer.status):
                    return
            seconds = pause * 2 ** (at.count - 1)
            if monotonic_ms() + seconds * 1000 >= at.until_ms:
                if at.answer is None:
                    raise Outside(reason or Reason.TIMEOUT, "The server did not answer in time.")
                return
            await asyncio.sleep(seconds)


def _read(answer: Answer, secrets: Collection[str]) -> tuple[str, dict[str, Any], str | None]:
    """An answer's body and the answer as templates see it, both without the request's secrets, and why it is no good one."""
    text = redaction.hidden(answer.body.decode("utf-8", "replace").replace("\0", ""), secrets)
    response, bad = rules.read(answer.status, text, truncated=answer.truncated)
    body = redaction.hidden_within(response["body"], secrets)
    if body != response["body"]:  # it was written in a way that only its reader knows
        response["body"], text = body, body if isinstance(body, str) else dumped(body)
    return text, response, bad
