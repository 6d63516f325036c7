"""What became of texts whose fate the carrier has not told: it is asked, and nothing is sent again on a guess."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter, Gauge

from control.clients.twilio import Carrier, CarrierText
from control.rows import each_row
from control.texts import statuses
from control.texts.statuses import News
from hum import ids
from hum.errors import CarrierError
from hum.ids import Kind
from hum.telemetry import log
from storage import sends, text_attempts
from storage.db import Db
from storage.text_attempts import AttemptRow

LOG = log(__name__)
DRIFT = Counter(
    "hum_text_drift_total",
    "Texts that stood differently at the carrier: `status` (repaired), `missing` there",
    ["what"],
)
UNKNOWN = Gauge("hum_texts_unknown", "Texts whose fate nobody knows, and which wait for a person")
WAITING = Gauge("hum_texts_waiting_seconds", "For how long the text of a conversation has been due that waits longest")
#: The carrier's clock may differ from ours by so much.
CLOCK_SLACK = timedelta(seconds=120)
#: Attempts that one step looks for.
MOST_LOOKS = 50
MOST_RETRIES = 500
#: What the carrier puts before the texts of accounts that are on trial.
TRIAL = "Sent from your Twilio trial account - "


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the carrier is given: until it is looked again for a text; until a text counts as unknown, for which
    it was asked in vain; until a text that it took is asked about, and how old that may be; for one request.
    """

    look: timedelta
    unknown: timedelta
    reconcile: timedelta
    oldest: timedelta
    request: timedelta


class Lookups:
    """Asks the carrier what it has."""

    def __init__(self, db: Db, carrier: Carrier, patience: Patience) -> None:
        self._db, self._carrier, self._patience = db, carrier, patience

    async def sweep(self) -> int:
        """Look for the texts of attempts that nobody has confirmed; return how many looks it took."""
        async with self._db.system() as tx:
            attempts = await text_attempts.unknown(tx, max(self._patience.look, self._patience.request), MOST_LOOKS)
            UNKNOWN.set(await text_attempts.count_unknown(tx))
            WAITING.set(await sends.waiting_seconds(tx))
        return await each_row("text attempts", attempts, self._look_or_give_up)

    async def _look_or_give_up(self, attempt: AttemptRow) -> bool:
        """Raises AWAY."""
        try:
            await self.look(attempt)
        except CarrierError as error:
            LOG.warning("the carrier can't be asked about a text", error=str(error)[:200])
            async with self._db.system() as tx:
                locked = await text_attempts.lock(tx, attempt.id)
                if await text_attempts.sought_for(tx, attempt.id) > self._patience.unknown:
                    await statuses.unknown(tx, locked)
        return True

    async def look(self, attempt: AttemptRow) -> None:
        """Look for a text that the carrier may have.  At the second look that finds none, it has none, and the text is due
        again.  Raises CarrierError.
        """
        since = attempt.started_at - CLOCK_SLACK
        try:
            listed = await self._carrier.sent_texts(attempt.account, attempt.from_e164, attempt.to_e164, since)
        except CarrierError:
            async with self._db.system() as tx:
                await text_attempts.sought_for(tx, attempt.id)
            raise
        until = attempt.started_at + self._patience.request * 2 + CLOCK_SLACK
        async with self._db.system() as tx:
            known = await text_attempts.known_sids(tx, [each.sid for each in listed])
            locked = await text_attempts.lock(tx, attempt.id)
            if locked.state != "posting":
                return  # a callback has told
            found = _ours(locked, [each for each in listed if each.sid not in known and each.created_at <= until])
            if found is not None:
                await statuses.take(tx, locked, _news(found))
            elif attempt.looked_at is None:
                await text_attempts.looked(tx, attempt.id)
            else:
                LOG.warning("the carrier has no such text", message=ids.show(Kind.MESSAGE, attempt.message_id))
                await statuses.absent(tx, locked)
                await sends.wake(tx, locked.from_e164)

    async def sent_before(self, id: UUID, since: datetime) -> bool:
        """Look for a text that was sent before the database was restored, and take it as this attempt's; False if the carrier has
        none.  Raises CarrierError.
        """
        async with self._db.system() as tx:
            attempt = await text_attempts.lock(tx, id)
        listed = await self._carrier.sent_texts(
            attempt.account, attempt.from_e164, attempt.to_e164, since - CLOCK_SLACK
        )
        async with self._db.system() as tx:
            known = await text_attempts.known_sids(tx, [each.sid for each in listed])
            locked = await text_attempts.lock(tx, id)
            if locked.state != "posting":
                return True  # a callback has told
            found = _ours(locked, [each for each in listed if each.sid not in known])
            if found is not None:
                await statuses.take(tx, locked, _news(found))
        return found is not None

    async def retry_due(self) -> int:
        """Let the texts be due whose time for another attempt has come; return how many."""
        async with self._db.system() as tx:
            found = await text_attempts.retries(tx, MOST_RETRIES)
        for id in found:
            async with self._db.system() as tx:
                attempt = await text_attempts.lock(tx, id)
                if attempt.retry_at is not None and attempt.status == "sent":
                    await text_attempts.retry(tx, attempt)
                    await sends.wake(tx, attempt.from_e164)
        return len(found)

    async def reconcile(self) -> int:
        """Ask about texts of which the carrier has told nothing new for long: its callbacks get lost."""
        async with self._db.system() as tx:
            quiet = await text_attempts.quiet(tx, self._patience.reconcile, self._patience.oldest, MOST_LOOKS)
        return await each_row("text statuses", quiet, self._ask_about)

    async def _ask_about(self, attempt: AttemptRow) -> bool:
        """Raises CarrierError."""
        assert attempt.carrier_sid is not None, "the carrier has it"
        found = await self._carrier.find_text(attempt.carrier_sid, attempt.account)
        async with self._db.system() as tx:
            locked = await text_attempts.lock(tx, attempt.id)
            await text_attempts.looked(tx, attempt.id)
            if found is None:
                DRIFT.labels("missing").inc()
                LOG.warning("the carrier knows nothing of a text", message=ids.show(Kind.MESSAGE, attempt.message_id))
            elif found.status != locked.carrier_status:
                DRIFT.labels("status").inc()
                await statuses.take(tx, locked, _news(found))
        return True


def _news(found: CarrierText) -> News:
    return News(found.sid, found.status, found.error_code, "list", found.segments, found.price)


def _ours(attempt: AttemptRow, listed: Sequence[CarrierText]) -> CarrierText | None:
    """Of the carrier's texts between two numbers the one that an attempt made: with its words, closest to its time."""
    body = attempt.body.strip()

    def distance(each: CarrierText) -> float:
        return abs(_seconds(each.created_at, attempt.started_at))

    same = [each for each in listed if each.body.strip().removeprefix(TRIAL).strip() == body]
    return min(same, key=distance, default=None)


def _seconds(one: datetime, other: datetime) -> float:
    return (one - other).total_seconds()
