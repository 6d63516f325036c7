"""Delivery statuses from the carrier, from each source: the answer to our request, callbacks, the list of texts.

Every status is stored.  An attempt's standing follows from all of them together (`control.texts.carrierstatus`), and the message's
status from its latest attempt; so statuses may come late, twice, and in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from prometheus_client import Counter

from control.base import hours as opening
from control.base import phone
from control.optouts import usecases as optouts
from control.texts import carrierstatus, delivery_outbox, quiethours, retries
from control.texts.carrierstatus import AttemptState
from control.usage import otherentries as usage
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from storage import contacts, messages, recipients, sends, text_attempts
from storage import usage as usages
from storage.db import Tx
from storage.sends import HeadRow
from storage.text_attempts import AttemptRow
from storage.usage import Owner, TextRow

LOG = log(__name__)
DOUBLED = Counter("hum_texts_doubled_total", "Texts that the carrier sent although two look-ups had found none")
STOPPED = Counter("hum_text_numbers_stopped_total", "Numbers whose texts the carrier refuses, by its code", ["code"])
FAILED = Counter("hum_texts_failed_total", "Undelivered texts, by the carrier's code", ["code"])


@dataclass(frozen=True, slots=True)
class CarrierReport:
    """A status of a text from the carrier.  `by`: its source, `answer`, `callback` or `list`; `segments` 0: not reported."""

    sid: str
    status: str
    error_code: str | None
    by: str
    segments: int = 0
    #: The price with its currency, once the carrier has set it.
    price: tuple[Decimal, str] | None = None


async def lock_and_apply_report(tx: Tx, id: UUID, report: CarrierReport, to_e164: str | None) -> None:
    """Apply a report to its attempt.  Raises NotFound if the attempt does not exist or does not match: the carrier did not send that."""
    attempt = await text_attempts.lock(tx, id)
    if attempt.carrier_sid not in {None, report.sid} or to_e164 not in {None, attempt.to_e164}:
        LOG.warning("a callback does not match its attempt", attempt=ids.show(Kind.SEND, id))
        raise NotFound("There is no such attempt.")
    await apply_report(tx, attempt, report)


async def apply_report(tx: Tx, attempt: AttemptRow, report: CarrierReport) -> None:
    """Apply a report to a locked attempt: store its status, and what follows from it."""
    await _count(tx, attempt, report)
    reported = await text_attempts.reports(tx, attempt.id, carrierstatus.MOST_STATUSES)
    if len(reported) < carrierstatus.MOST_STATUSES:
        await text_attempts.append_report(tx, attempt, report.status, report.error_code, report.by)
    history = [(attempt.carrier_status or "", attempt.error_code), *reported]
    new_standing = standing([*history, (report.status, report.error_code)])
    if new_standing is None:
        return  # an unknown status
    if (
        report.error_code
        and report.status in carrierstatus.ERRORS
        and report.error_code not in {code for _, code in history}
    ):
        await apply_error(tx, attempt, report.error_code)
    if await text_attempts.is_latest(tx, attempt):
        await _project(tx, attempt, report, new_standing)
    else:
        await _record_superseded(tx, attempt, report, new_standing)


async def _count(tx: Tx, attempt: AttemptRow, report: CarrierReport) -> None:
    """Record the usage of a text that the carrier has accepted: it charges for undelivered texts too."""
    if (text := counted(attempt, report.segments)) is not None:
        await usage.record_sent_texts(tx, [text], now())
        # Otherwise the `sms.sent` event that follows makes the usage's reader read it.
        if attempt.sent_at is not None:
            await usages.announce(tx, Owner(attempt.org_id, attempt.message_id))
    if report.price is not None:
        await usage.record_text_price(tx, attempt.org_id, attempt.message_id, attempt.number, report.price)


def counted(attempt: AttemptRow, segments: int) -> TextRow | None:
    """Return the usage of a text that the carrier has newly accepted or newly counted, else None; `segments` 0: not reported."""
    if attempt.carrier_sid is not None and segments in {0, attempt.segments}:
        return None
    return usage.sent_text(attempt.message_id, attempt.number, attempt.to_e164, segments or attempt.segments)


def standing(pairs: Sequence[tuple[str, str | None]]) -> AttemptState | None:
    """Return the standing that follows from statuses with their codes; None if all are unknown."""
    ranked = (carrierstatus.ranked(status, code) for status, code in pairs)
    return carrierstatus.standing(status for status in ranked if status is not None)


async def _project(tx: Tx, attempt: AttemptRow, report: CarrierReport, standing: AttemptState) -> None:
    """Give the message the standing of its latest attempt, which replaces what a look-up had assumed."""
    if attempt.status == "canceled" and not await recipients.reclaim(tx, attempt.message_id):
        DOUBLED.inc()
        LOG.error(
            "a recipient got two texts: a canceled one was sent after all",
            message=ids.show(Kind.MESSAGE, attempt.message_id),
        )
    failed = standing.status not in {"sent", "delivered"}
    retries = failed and not standing.reached and await _may_retry(tx, attempt, standing)
    is_pending = attempt.state == "failed" and (attempt.retry_at is not None or attempt.due_at is not None)
    retry_at = attempt.retry_at
    if retries and not is_pending:
        retry_at = await _retry_at(tx, attempt, standing)
    retries = retries and (retry_at is not None or is_pending)
    await text_attempts.set(
        tx,
        attempt.id,
        "failed" if retries else "accepted",
        carrier_sid=report.sid,
        carrier_status=standing.carrier_status,
        error_code=standing.error_code,
        retry_at=retry_at if retries else None,
    )
    await set_status(
        tx,
        attempt,
        "sent" if retries else standing.status,
        None if retries else standing.error_code,
        due_at=attempt.due_at if retries and is_pending else None,
        report=report,
    )


async def _may_retry(tx: Tx, attempt: AttemptRow, standing: AttemptState) -> bool:
    if attempt.state == "failed" and attempt.retry_at is None and attempt.due_at is None:
        return False  # its retry was begun, and withdrawn
    return await text_attempts.failed_before(tx, attempt) < retries.cure(standing.error_code).again


async def _retry_at(tx: Tx, attempt: AttemptRow, standing: AttemptState) -> datetime | None:
    at, opens_at = now(), None
    if retries.cure(standing.error_code).next_window:
        rules = await messages.rules(tx, attempt.conversation_id)
        opens_at = opening.first_open(quiethours.of_recipient(rules.contact_e164, rules.time_zone), at)
        # The carrier found the window closed, so one that we compute as open right now is no answer.
        opens_at = opens_at if opens_at != at else None
    return retries.retry_at(standing.error_code, await text_attempts.failed_before(tx, attempt), at, opens_at)


async def set_status(
    tx: Tx,
    attempt: AttemptRow,
    status: str,
    error_code: str | None,
    *,
    due_at: datetime | None = None,
    report: CarrierReport | None = None,
) -> None:
    """Set the status of a locked attempt's message, and append one event per change.

    `report`: the carrier's; None if it never had the text, or that is unknown.
    """
    segments = (report.segments if report else 0) or attempt.segments
    sent_at, delivered_at = await text_attempts.set_message(
        tx,
        attempt.message_id,
        status,
        error_code=error_code,
        due_at=due_at,
        carrier_sid=report.sid if report else None,
        segments=segments,
        sent=report is not None or status in {"sent", "delivered"},
    )
    if attempt.sent_at is None and sent_at is not None:
        await delivery_outbox.sent(tx, attempt, segments, sent_at)
    if status == attempt.status and error_code == attempt.message_error_code:
        return
    if status == "delivered" and delivered_at is not None:
        await delivery_outbox.delivered(tx, attempt, delivered_at)
    if status in {"failed", "undelivered"}:
        FAILED.labels(error_code or "none").inc()
        await delivery_outbox.failed(tx, attempt, status, error_code)


async def _record_superseded(tx: Tx, attempt: AttemptRow, report: CarrierReport, standing: AttemptState) -> None:
    """Record a status of a superseded attempt, which does not affect the message."""
    if attempt.carrier_sid is None and attempt.state in {"absent", "withdrawn"}:
        DOUBLED.inc()
        LOG.error(
            "the carrier sent a text that two look-ups had not found",
            message=ids.show(Kind.MESSAGE, attempt.message_id),
            attempt=attempt.number,
        )
    await text_attempts.set(
        tx,
        attempt.id,
        attempt.state,
        carrier_sid=report.sid,
        carrier_status=standing.carrier_status,
        error_code=standing.error_code,
    )


async def apply_error(tx: Tx, attempt: AttemptRow, error_code: str) -> None:
    """Apply an error to the contact, and to the number's next texts."""
    if error_code == carrierstatus.OPTED_OUT:
        await optouts.carrier_says_blocked(
            tx,
            attempt.org_id,
            attempt.to_e164,
            attempt.message_id,
            attempt.conversation_id,
            at=attempt.started_at,
        )
    cure = retries.cure(error_code)
    if cure.flags:
        await contacts.flag_untextable(tx, attempt.org_id, attempt.to_e164, error_code)
    if cure.alerts:
        await delivery_outbox.region_refused(tx, attempt, error_code, phone.country(attempt.to_e164), now())
    if cure.slows:
        await sends.slow(tx, attempt.from_e164, attempt.started_at)
    if cure.stops:
        STOPPED.labels(error_code).inc()
        LOG.error("the carrier refuses a number's texts", number=attempt.from_e164, code=error_code)
        await sends.stop(tx, attempt.from_e164, error_code)


# --- outcomes without a status from the carrier


async def refused(tx: Tx, attempt: AttemptRow, error_code: str | None) -> None:
    """Record that the carrier refused the text.  No-op if a callback was first."""
    if attempt.state != "posting":
        return
    await text_attempts.set(tx, attempt.id, "rejected", error_code=error_code)
    if error_code is not None:
        await apply_error(tx, attempt, error_code)
    await set_status(tx, attempt, carrierstatus.status_of("failed", error_code), error_code or "refused")


async def withdrawn(tx: Tx, attempt: AttemptRow, error_code: str | None) -> None:
    """Record that the carrier did not accept the text for now, and make it due again."""
    if attempt.state != "posting":
        return
    await text_attempts.set(tx, attempt.id, "withdrawn", error_code=error_code)
    await text_attempts.delete_withdrawn(tx, attempt)
    await text_attempts.make_due(tx, attempt.id)
    if retries.cure(error_code).stops and error_code is not None:
        await apply_error(tx, attempt, error_code)


async def absent(tx: Tx, attempt: AttemptRow) -> None:
    """Make the text due again, after two look-ups have not found it at the carrier."""
    await text_attempts.set(tx, attempt.id, "absent")
    await text_attempts.make_due(tx, attempt.id)


async def unknown(tx: Tx, attempt: AttemptRow) -> None:
    """Mark the outcome as unknown until a person or a late callback settles it."""
    if attempt.state == "posting":
        await text_attempts.set(tx, attempt.id, "unknown")
        await set_status(tx, attempt, "unknown", None)


async def stop(tx: Tx, head: HeadRow, status: str, reason: str) -> None:
    """Finalize a text without an attempt: it is not sent."""
    await text_attempts.set_message(tx, head.id, status, error_code=reason)
    if status == "failed":
        FAILED.labels(reason).inc()
        await delivery_outbox.not_sent(tx, head, status, reason)
