"""One attempt at a delivery: the signed request to the receiver, and its outcome."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Histogram

from control.base.egress import EgressError
from control.base.rates import Rates
from control.clients.http import GuardedClient, HttpAnswer
from control.webhooks import bodies, retries, signing
from control.webhooks.bodies import DeliveryContent
from control.webhooks.retries import Schedule
from control.webhooks.sealing import WebhookSealer
from hum import ids
from hum.clock import monotonic_ms, now
from hum.contract.errors import RateLimited
from hum.ids import Kind
from hum.observe.logs import log
from hum.secrets import Unsealable
from storage.webhook_queues import DueDeliveryRow, OutcomeRow

LOG = log(__name__)
ATTEMPTS = Counter("hum_webhook_attempts_total", "Attempts at webhooks' deliveries, by outcome", ["how"])
TOOK = Histogram(
    "hum_webhook_answer_seconds",
    "Response times of webhooks' receivers",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
#: The steps of an attempt, in order; tests kill the process at each.
STEPS: Final = ("claimed", "sending", "answered", "recorded")
AtStep = Callable[[str], Awaitable[None]]
ANSWER_BYTES: Final = 16 << 10
LONGEST_MESSAGE: Final = 300


async def go_on(_: str) -> None:
    """Do nothing at a step."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process has claimed, and when."""

    row: DueDeliveryRow
    claim_id: UUID
    began_ms: float


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The outcome of an attempt; `is_gone`: the receiver has unsubscribed (410)."""

    claimed: ClaimedDelivery
    row: OutcomeRow
    is_gone: bool = False


class WebhookPoster:
    """The sender of claimed deliveries to their receivers.  `answer_kb`: limits what is stored of an organization's answers."""

    def __init__(
        self,
        web: GuardedClient,
        sealer: WebhookSealer,
        schedule: Schedule,
        seconds: float,
        answer_kb: Rates,
        at_step: AtStep = go_on,
    ) -> None:
        self._web, self._sealer, self._schedule = web, sealer, schedule
        self._seconds, self._answer_kb, self.at_step = seconds, answer_kb, at_step

    async def send(self, claimed: ClaimedDelivery) -> DeliveryOutcome:
        """Send a delivery, once; return the outcome."""
        row, began_ms, at = claimed.row, monotonic_ms(), now()
        if row.data is None:
            return self._outcome(claimed, at, began_ms, "canceled", None, "deleted", None)
        try:
            secrets, headers = self._open(row)
        except (Unsealable, ValueError) as error:
            LOG.warning("could not open a webhook's secret; rotate it", webhook=str(row.webhook_id), error=str(error))
            return self._failed(claimed, at, began_ms, "secret", "Its secret can't be opened; rotate it.", None)
        content = DeliveryContent(
            row.public_id, row.org_id, row.type, row.version, row.created_at, row.sequence, row.data
        )
        body = bodies.body(content, row.format)
        headers |= signing.headers(
            secrets=secrets,
            event_id=ids.show(Kind.EVENT, row.public_id),
            event_type=row.type,
            delivery_id=ids.show(Kind.DELIVERY, row.id),
            timestamp=int(at.timestamp()),
            body=body,
        )
        await self.at_step("sending")
        try:
            answer = await self._web.request(
                "POST",
                row.url,
                org=row.org_id,
                headers=headers,
                body=body,
                total_seconds=self._seconds,
                response_bytes=ANSWER_BYTES,
                truncate=True,
            )
        except EgressError as error:
            await self.at_step("answered")
            return self._failed(claimed, at, began_ms, error.reason.value, error.message, None)
        await self.at_step("answered")
        TOOK.observe(answer.elapsed_ms / 1000)
        if 200 <= answer.status < 300:
            return self._outcome(claimed, at, began_ms, "delivered", None, None, answer)
        return self._failed(claimed, at, began_ms, "status", f"The receiver answered {answer.status}.", answer)

    def unsent(self, claimed: ClaimedDelivery) -> DeliveryOutcome:
        """Return the outcome of an attempt that failed by a bug: a failure like others, so that the retries come to an end."""
        return self._failed(claimed, now(), monotonic_ms(), "interrupted", "HUM could not make the request.", None)

    def _open(self, row: DueDeliveryRow) -> tuple[list[str], dict[str, str]]:
        """Return the signing secrets, newest first, and the customer's headers.  Raises Unsealable, ValueError."""
        sealed = [secret for secret in (row.sealed_secret, row.sealed_previous_secret) if secret is not None]
        secrets = [self._sealer.secret(secret, row.webhook_id, row.org_id) for secret in sealed]
        return secrets, dict(self._sealer.headers(row.sealed_headers, row.webhook_id, row.org_id))

    def _may_store(self, org: UUID, body: bytes) -> bool:
        """Tell whether the body of an answer is within the limit of what an organization's receivers may store."""
        try:
            self._answer_kb.consume(org.bytes, monotonic_ms(), len(body) / 1000)
        except RateLimited:
            return False
        return True

    def _failed(
        self,
        claimed: ClaimedDelivery,
        at: datetime,
        began_ms: float,
        error: str,
        message: str,
        answer: HttpAnswer | None,
    ) -> DeliveryOutcome:
        gone = answer is not None and answer.status == retries.GONE
        header = answer.headers.get("retry-after") if answer is not None else None
        requested_seconds = retries.retry_after_seconds(header, at)
        wait_seconds = (
            None if gone else self._schedule.wait_seconds(claimed.row.retries, random.random(), requested_seconds)
        )
        state = "failed" if wait_seconds is None else "pending"
        return self._outcome(claimed, at, began_ms, state, wait_seconds, error, answer, message, is_gone=gone)

    def _outcome(
        self,
        claimed: ClaimedDelivery,
        at: datetime,
        began_ms: float,
        state: str,
        wait_seconds: float | None,
        error: str | None,
        answer: HttpAnswer | None,
        message: str | None = None,
        *,
        is_gone: bool = False,
    ) -> DeliveryOutcome:
        ATTEMPTS.labels("delivered" if state == "delivered" else error).inc()
        row = OutcomeRow(
            id=claimed.row.id,
            claim_id=claimed.claim_id,
            state=state,
            wait_seconds=wait_seconds or 0.0,
            response_status=answer.status if answer else None,
            error=error,
            message=message[:LONGEST_MESSAGE] if message else None,
            started_at=at,
            duration_ms=int(monotonic_ms() - began_ms),
            response_body=answer.body if answer and self._may_store(claimed.row.org_id, answer.body) else None,
            response_type=answer.headers.get("content-type", "")[:200] if answer else None,
        )
        return DeliveryOutcome(claimed, row, is_gone)
