"""Reconciliation with the carrier: look up texts with unknown outcomes, and never send one again on a guess."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter, Gauge

from control.clients.twilio import CarrierClient, CarrierText
from control.rows import each_row
from control.texts import statuses
from control.texts.statuses import CarrierReport
from hum import ids
from hum.contract.errors import CarrierError
from hum.ids import Kind
from hum.observe.logs import log
from storage import sends, text_attempts
from storage.db import Db
from storage.text_attempts import AttemptRow

LOG = log(__name__)
DRIFT = Counter(
    "hum_text_drift_total",
    "Texts that stood differently at the carrier: `status` (repaired), `missing` there",
    ["what"],
)
UNKNOWN = Gauge("hum_texts_unknown", "Texts whose outcome is unknown, and which a person must resolve")
WAITING = Gauge("hum_texts_waiting_seconds", "Age of the oldest due text of a conversation")
#: Tolerated difference between the carrier's clock and ours.
CLOCK_SLACK = timedelta(seconds=120)
#: Until a text whose query failed, or was never made, is queried again.
QUERY_LEASE = timedelta(minutes=30)
#: Attempts per step of a sweep.
MOST_LOOKS = 50
MOST_RETRIES = 500
#: The carrier's prefix of texts from trial accounts.
TRIAL = "Sent from your Twilio trial account - "


@dataclass(frozen=True, slots=True)
class ReconciliationTimes:
    """The time limits of reconciliation."""

    #: Between look-ups of a text.
    look_up: timedelta
    #: Until a text that can't be looked up counts as unknown.
    unknown: timedelta
    #: Without news, until an accepted text is queried; and the age beyond which it is not.
    reconcile: timedelta
    oldest: timedelta
    #: Timeout of one request.
    request: timedelta


class TextLookups:
    """The look-ups of texts at the carrier."""

    def __init__(self, db: Db, carrier: CarrierClient, times: ReconciliationTimes) -> None:
        self._db, self._carrier, self._times = db, carrier, times

    async def look_up_unconfirmed_texts(self) -> int:
        """Look up the texts of unconfirmed attempts; return how many."""
        async with self._db.system() as tx:
            attempts = await text_attempts.unconfirmed(tx, max(self._times.look_up, self._times.request), MOST_LOOKS)
            UNKNOWN.set(await text_attempts.count_unknown(tx))
            WAITING.set(await sends.waiting_seconds(tx))
        return await each_row("text attempts", attempts, self._look_up_or_give_up)

    async def _look_up_or_give_up(self, attempt: AttemptRow) -> bool:
        """Look up an attempt's text, or mark it unknown after failing for too long.  Raises UNAVAILABLE."""
        try:
            await self.look_up(attempt)
        except CarrierError as error:
            LOG.warning("could not look up a text at the carrier", error=str(error)[:200])
            async with self._db.system() as tx:
                locked = await text_attempts.lock(tx, attempt.id)
                if await text_attempts.lookup_age(tx, attempt.id) > self._times.unknown:
                    await statuses.unknown(tx, locked)
        return True

    async def look_up(self, attempt: AttemptRow) -> None:
        """Look up a text that the carrier may have; the second look-up without result makes it due again.  Raises CarrierError."""
        since = attempt.started_at - CLOCK_SLACK
        try:
            listed = await self._carrier.sent_texts(attempt.account, attempt.from_e164, attempt.to_e164, since)
        except CarrierError:
            async with self._db.system() as tx:
                await text_attempts.lookup_age(tx, attempt.id)
            raise
        until = attempt.started_at + self._times.request * 2 + CLOCK_SLACK
        async with self._db.system() as tx:
            known_sids = await text_attempts.known_sids(tx, [candidate.sid for candidate in listed])
            locked = await text_attempts.lock(tx, attempt.id)
            if locked.state != "posting":
                return  # a callback has settled it
            text = _match(
                locked,
                [
                    candidate
                    for candidate in listed
                    if candidate.sid not in known_sids and candidate.created_at <= until
                ],
            )
            if text is not None:
                await statuses.apply_report(tx, locked, _report(text))
            elif attempt.looked_at is None:
                await text_attempts.record_lookup(tx, attempt.id)
            else:
                LOG.warning(
                    "the carrier does not have the text; it is due again",
                    message=ids.show(Kind.MESSAGE, attempt.message_id),
                )
                await statuses.absent(tx, locked)
                await sends.notify_workers(tx, locked.from_e164)

    async def sent_before(self, id: UUID, since: datetime) -> bool:
        """Look up a text that was sent before the database was restored, and record it as this attempt's.

        Return False if the carrier has none.  Raises CarrierError.
        """
        async with self._db.system() as tx:
            attempt = await text_attempts.lock(tx, id)
        listed = await self._carrier.sent_texts(
            attempt.account, attempt.from_e164, attempt.to_e164, since - CLOCK_SLACK
        )
        async with self._db.system() as tx:
            known_sids = await text_attempts.known_sids(tx, [candidate.sid for candidate in listed])
            locked = await text_attempts.lock(tx, id)
            if locked.state != "posting":
                return True  # a callback has settled it
            text = _match(locked, [candidate for candidate in listed if candidate.sid not in known_sids])
            if text is not None:
                await statuses.apply_report(tx, locked, _report(text))
        return text is not None

    async def retry_due(self) -> int:
        """Make the failed texts due after their back-off; return how many."""
        async with self._db.system() as tx:
            attempt_ids = await text_attempts.retries(tx, MOST_RETRIES)
        return await each_row("text retries", attempt_ids, self._retry)

    async def _retry(self, id: UUID) -> bool:
        async with self._db.system() as tx:
            attempt = await text_attempts.lock(tx, id)
            if attempt.retry_at is not None and attempt.status == "sent":
                await text_attempts.retry(tx, attempt)
                await sends.notify_workers(tx, attempt.from_e164)
        return True

    async def reconcile(self) -> int:
        """Query the texts that have had no callback for long, in case one was lost; return how many."""
        async with self._db.system() as tx:
            times = self._times
            quiet = await text_attempts.claim_quiet(tx, times.reconcile, times.oldest, QUERY_LEASE, MOST_LOOKS)
        return await each_row("text statuses", quiet, self._query_status)

    async def _query_status(self, attempt: AttemptRow) -> bool:
        """Query the status of an accepted text.  Raises CarrierError."""
        assert attempt.carrier_sid is not None, "the carrier has it"
        text = await self._carrier.find_text(attempt.carrier_sid, attempt.account)
        async with self._db.system() as tx:
            locked = await text_attempts.lock(tx, attempt.id)
            await text_attempts.record_query(tx, attempt.id)
            if text is None:
                DRIFT.labels("missing").inc()
                LOG.warning(
                    "the carrier does not know a text that it had accepted",
                    message=ids.show(Kind.MESSAGE, attempt.message_id),
                )
            elif text.status != locked.carrier_status:
                DRIFT.labels("status").inc()
                await statuses.apply_report(tx, locked, _report(text))
        return True


def _report(text: CarrierText) -> CarrierReport:
    return CarrierReport(text.sid, text.status, text.error_code, "list", text.segments, text.price)


def _match(attempt: AttemptRow, listed: Sequence[CarrierText]) -> CarrierText | None:
    """Return the carrier's text that the attempt created: the one with its body that is closest in time, or None."""
    body = attempt.body.strip()

    def distance(text: CarrierText) -> float:
        return abs(_seconds(text.created_at, attempt.started_at))

    same = [text for text in listed if text.body.strip().removeprefix(TRIAL).strip() == body]
    return min(same, key=distance, default=None)


def _seconds(one: datetime, other: datetime) -> float:
    return (one - other).total_seconds()
