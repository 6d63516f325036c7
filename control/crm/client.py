"""Requests to connectors: signed, bounded, logged, and none while a connector rests after repeated failures."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prometheus_client import Counter as Metric

from control.base.egress import EgressError
from control.clients.http import GuardedClient, HttpAnswer
from control.crm import connectorwire
from control.crm.connectorwire import ConnectorEvent, ConnectorReply
from hum import ids
from hum.clock import monotonic_ms, now
from hum.ids import Kind
from hum.observe.logs import log
from hum.secrets import Keyring, SealContext, Unsealable, new_token, sign
from hum.settings.crm import CrmSettings
from storage import crm
from storage.crm import ConnectorRow, LogRow
from storage.db import Db

#: Requests of one process to one CRM connector at once; more look-ups are left out.
CRM_REQUESTS = 8
#: Seconds that a CRM connector rests at first; twice as long after each further failure.
CRM_REST_SECONDS = 30.0
#: Seconds that a CRM connector rests at most.
CRM_LONGEST_REST_SECONDS = 900.0

LOG = log(__name__)
REQUESTS = Metric("hum_crm_requests_total", "Requests to CRM connectors", ["event", "outcome"])


@dataclass(frozen=True, slots=True)
class ConnectorRequest:
    """A request to a connector."""

    event: ConnectorEvent
    body: Mapping[str, Any]
    #: The same for each attempt.
    delivery: UUID
    contact: UUID | None = None
    call: UUID | None = None
    conversation: UUID | None = None


@dataclass(frozen=True, slots=True)
class ConnectorExchange:
    """The result of a request."""

    reply: ConnectorReply
    log: LogRow
    #: The connector's `Retry-After`; 0.0 without one.
    retry_after_seconds: float = 0.0


def place(id: UUID, org: UUID) -> SealContext:
    """Return the place to which a connector's secrets are sealed."""
    return SealContext("crm_connectors", id, org)


def new_secret() -> str:
    return connectorwire.SECRET_PREFIX + new_token()


class ConnectorClient:
    """One process's client of connectors."""

    def __init__(self, db: Db, web: GuardedClient, keyring: Keyring, settings: CrmSettings) -> None:
        self._db, self._web, self._keyring, self._settings = db, web, keyring, settings
        self._running = Counter[UUID]()

    async def may_request(self, connector: ConnectorRow) -> bool:
        """Return whether to send a request to a connector: it does not rest, or this call has claimed the trial request after a rest."""
        if connector.failures < self._settings.crm_failures or connector.rests_until is None:
            return True
        if connector.rests_until > now():
            return False
        during = timedelta(milliseconds=2 * connector.timeout_ms)
        async with self._db.tenant(connector.org_id) as tx:
            return await crm.claim_probe(tx, connector.id, during)

    def is_busy(self, connector: UUID) -> bool:
        """Return whether this process has reached its limit of requests in flight to a connector."""
        return self._running[connector] >= CRM_REQUESTS

    async def request(self, connector: ConnectorRow, request: ConnectorRequest) -> ConnectorExchange:
        """Send and log a request; send it again with the old secret if the connector refuses the new one."""
        async with self._counted(connector.id):
            exchange = await self._send(connector, request, connector.secret, is_old=False)
            old_secret, until = connector.old_secret, connector.old_secret_until
            refused = exchange.log.status in connectorwire.UNAUTHORIZED
            if refused and old_secret is not None and until is not None and until > now():
                # The connector does not have the new secret yet.
                exchange = await self._send(connector, request, old_secret, is_old=True)
        await self._count_failure(connector, exchange.reply)
        return exchange

    @asynccontextmanager
    async def _counted(self, connector: UUID) -> AsyncIterator[None]:
        self._running[connector] += 1
        try:
            yield
        finally:
            self._running[connector] -= 1
            if not self._running[connector]:
                del self._running[connector]

    async def _send(
        self, connector: ConnectorRow, request: ConnectorRequest, sealed: bytes, *, is_old: bool
    ) -> ConnectorExchange:
        body, began_ms = connectorwire.encoded(request.body), monotonic_ms()
        answer: HttpAnswer | None = None
        secrets = list[str]()
        try:
            secret = self._open(connector, sealed)
            secrets = [self._open(connector, blob) for blob in (connector.secret, connector.old_secret) if blob]
            answer = await self._web.request(
                "POST",
                connector.base_url + connectorwire.PATHS[request.event],
                org=connector.org_id,
                headers=_headers(request, secret, body),
                body=body,
                total_seconds=connector.timeout_ms / 1000,
                response_bytes=connectorwire.ANSWER_BYTES,
                truncate=True,
            )
            reply = connectorwire.interpret(request.event, answer.status, answer.body, truncated=answer.truncated)
        except EgressError as error:
            reply = connectorwire.failed(error.reason, error.message)
        except Unsealable:
            LOG.exception("could not open a CRM connector's secret; rotate it", connector=str(connector.id))
            reply = connectorwire.failed("secret", "HUM can't open the connector's secret any more; rotate it.")
        REQUESTS.labels(request.event, reply.outcome).inc()
        row = LogRow(
            id=ids.new(),
            connector_id=connector.id,
            delivery_id=request.delivery,
            event=request.event,
            contact_id=request.contact,
            call_id=request.call,
            conversation_id=request.conversation,
            outcome=reply.outcome,
            reason=reply.reason,
            message=reply.message,
            old_secret=is_old,
            request_body=connectorwire.redacted(body, secrets),
            status=answer.status if answer else None,
            response_body=connectorwire.redacted(answer.body, secrets) if answer else None,
            duration_ms=round(monotonic_ms() - began_ms),
            created_at=now(),
        )
        async with self._db.tenant(connector.org_id) as tx:
            await crm.log(tx, row)
        after = connectorwire.retry_after_seconds(answer.headers.get("retry-after")) if answer else 0.0
        return ConnectorExchange(reply, row, after)

    def _open(self, connector: ConnectorRow, sealed: bytes) -> str:
        return self._keyring.open(sealed, place(connector.id, connector.org_id)).decode()

    async def _count_failure(self, connector: ConnectorRow, reply: ConnectorReply) -> None:
        settings = self._settings
        if not reply.failed and not connector.failures:
            return
        async with self._db.tenant(connector.org_id) as tx:
            if not reply.failed:
                await crm.recover(tx, connector.id)
                return
            rest, longest = timedelta(seconds=CRM_REST_SECONDS), CRM_LONGEST_REST_SECONDS
            failure = reply.message or reply.reason or ""
            await crm.fail(tx, connector, failure, settings.crm_failures, rest, timedelta(seconds=longest))


def _headers(request: ConnectorRequest, secret: str, body: bytes) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/json",
        "User-Agent": connectorwire.USER_AGENT,
        "X-HUM-Signature": f"sha256={sign(secret.encode(), body).hex()}",
        "X-HUM-Event": request.event,
        "X-HUM-Delivery": ids.show(Kind.CRM_DELIVERY, request.delivery),
    }
