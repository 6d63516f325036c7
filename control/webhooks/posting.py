"""One request to a receiver: signed as it leaves, and what came of it."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Histogram

from control.base.egress import Outside
from control.clients.http import Answer, Guarded
from control.webhooks import bodies, rules, signing
from control.webhooks.bodies import Content
from control.webhooks.rules import Schedule
from control.webhooks.sealing import Sealer
from hum import ids
from hum.clock import monotonic_ms, now
from hum.ids import Kind
from hum.secrets import Unsealable
from hum.telemetry import log
from storage.webhook_queues import OutcomeRow, TakenRow

LOG = log(__name__)
ATTEMPTS = Counter("hum_webhook_attempts_total", "Attempts at webhooks' deliveries, by what came of them", ["how"])
TOOK = Histogram(
    "hum_webhook_answer_seconds",
    "How long receivers of webhooks took to answer",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
#: The steps of an attempt, in their order; a test may let the process die at each.
STEPS: Final = ("claimed", "sending", "answered", "recorded")
AtStep = Callable[[str], Awaitable[None]]
ANSWER_BYTES: Final = 16 << 10
LONGEST_MESSAGE: Final = 300


async def go_on(_: str) -> None:
    """Nothing happens at a step."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that this process has, under which claim, and since when."""

    row: TakenRow
    claim_id: UUID
    began_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; `gone`: the receiver wants nothing more, ever."""

    taken: Taken
    row: OutcomeRow
    gone: bool = False


class Poster:
    """Sends deliveries to their receivers."""

    def __init__(
        self, web: Guarded, sealer: Sealer, schedule: Schedule, seconds: float, at_step: AtStep = go_on
    ) -> None:
        self._web, self._sealer, self._schedule = web, sealer, schedule
        self._seconds, self.at_step = seconds, at_step

    async def send(self, taken: Taken) -> Outcome:
        """Send a delivery, once."""
        row, began_ms, at = taken.row, monotonic_ms(), now()
        if row.data is None:
            return self._outcome(taken, at, began_ms, "canceled", None, "deleted", None)
        try:
            secrets, headers = self._open(row)
        except (Unsealable, ValueError) as error:
            LOG.warning("a webhook's secret can't be opened", webhook=str(row.webhook_id), error=str(error))
            return self._failed(taken, at, began_ms, "secret", "Its secret can't be opened; rotate it.", None)
        content = Content(row.public_id, row.org_id, row.type, row.version, row.created_at, row.sequence, row.data)
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
        except Outside as error:
            await self.at_step("answered")
            return self._failed(taken, at, began_ms, error.reason.value, error.message, None)
        await self.at_step("answered")
        TOOK.observe(answer.elapsed_ms / 1000)
        if 200 <= answer.status < 300:
            return self._outcome(taken, at, began_ms, "delivered", None, None, answer)
        return self._failed(taken, at, began_ms, "status", f"The receiver answered {answer.status}.", answer)

    def _open(self, row: TakenRow) -> tuple[list[str], dict[str, str]]:
        """The secrets that sign, the newest first, and the customer's headers.  Raises Unsealable, ValueError."""
        sealed = [each for each in (row.sealed_secret, row.sealed_previous_secret) if each is not None]
        secrets = [self._sealer.secret(each, row.webhook_id, row.org_id) for each in sealed]
        return secrets, dict(self._sealer.headers(row.sealed_headers, row.webhook_id, row.org_id))

    def _failed(
        self, taken: Taken, at: datetime, began_ms: float, error: str, message: str, answer: Answer | None
    ) -> Outcome:
        gone = answer is not None and answer.status == rules.GONE
        header = answer.headers.get("retry-after") if answer is not None else None
        wish = rules.retry_after_seconds(header, at)
        wait = None if gone else self._schedule.wait_seconds(taken.row.retries, random.random(), wish)
        state = "failed" if wait is None else "pending"
        return self._outcome(taken, at, began_ms, state, wait, error, answer, message, gone=gone)

    def _outcome(
        self,
        taken: Taken,
        at: datetime,
        began_ms: float,
        state: str,
        wait_seconds: float | None,
        error: str | None,
        answer: Answer | None,
        message: str | None = None,
        *,
        gone: bool = False,
    ) -> Outcome:
        ATTEMPTS.labels("delivered" if state == "delivered" else error).inc()
        row = OutcomeRow(
            id=taken.row.id,
            claim_id=taken.claim_id,
            state=state,
            wait_seconds=wait_seconds or 0.0,
            response_status=answer.status if answer else None,
            error=error,
            message=message[:LONGEST_MESSAGE] if message else None,
            started_at=at,
            duration_ms=int(monotonic_ms() - began_ms),
            response_body=answer.body if answer else None,
            response_type=answer.headers.get("content-type", "")[:200] if answer else None,
        )
        return Outcome(taken, row, gone)
