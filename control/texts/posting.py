"""The request to the carrier that sends a text, made once, and the record of its answer."""

from collections import Counter as Counts
from collections.abc import Awaitable, Callable
from datetime import datetime

from prometheus_client import Counter

from control.base.filelinks import FileLinks
from control.clients.twilio import CarrierClient, Text, is_refusal, was_not_sent
from control.texts import retries, sendpace, statuses
from control.texts.claims import ClaimedText, TextSendLimits
from control.texts.lookups import TextLookups
from control.texts.statusbatches import AttemptReport, StatusRecorder
from control.texts.statuses import CarrierReport
from hum import ids
from hum.clock import monotonic_ms, now
from hum.connectionoverrides import OVERRIDES
from hum.contract.errors import CarrierBusy, CarrierError
from hum.ids import Kind
from hum.observe import tracing
from hum.observe.logs import log
from storage import sends, text_attempts
from storage.db import Db

LOG = log(__name__)
ASKED = Counter("hum_text_attempts_total", "Attempts at texts, by what the carrier answered", ["how"])
#: The steps of an attempt, in order; tests kill the process at each.
STEPS = ("claimed", "posting", "posted", "recorded")
AtStep = Callable[[str], Awaitable[None]]


async def _go_on(_: str) -> None:
    """Do nothing at a step."""


class TextPoster:
    """The sender of committed attempts to the carrier."""

    def __init__(
        self,
        db: Db,
        carrier: CarrierClient,
        lookups: TextLookups,
        public_url: str,
        limits: TextSendLimits,
        links: FileLinks,
        at_step: AtStep = _go_on,
    ) -> None:
        self._db, self._carrier, self._lookups = db, carrier, lookups
        self._status_url = f"{public_url}/twilio/sms/status/{{}}{OVERRIDES}"
        self._limits, self._links, self.at_step, self._recorder = limits, links, at_step, StatusRecorder(db)
        #: By number, consecutive attempts that the carrier did not accept.
        self._setbacks = Counts[str]()

    async def send(self, claimed: ClaimedText) -> None:
        """Send a text through the carrier, once, and record its answer.  Raises UNAVAILABLE, BUSY, CarrierError."""
        # The carrier returns the id with each status.
        attempt = ids.show(Kind.SEND, claimed.attempt)
        with tracing.text_step_span(attempt, "text.send", first=True) as span:
            span.set_attributes({"hum.text": ids.show(Kind.MESSAGE, claimed.head.id), "hum.lane": claimed.lane})
            await self._send(claimed)

    async def _send(self, claimed: ClaimedText) -> None:
        await self.at_step("posting")
        # If this process was suspended, another may already have looked up the text and made it due again.
        if self._is_late(claimed):
            return
        if claimed.head.doubtful_since is not None and not await self._is_new(claimed, claimed.head.doubtful_since):
            return
        try:
            text = await self._carrier.send_text(self._text(claimed))
        except CarrierError as error:
            await self._failed(claimed, error)
            return
        self._setbacks.pop(claimed.head.number_e164, None)
        ASKED.labels("taken").inc()
        await self.at_step("posted")
        report = CarrierReport(text.sid, text.status, text.error_code, "answer", text.segments, text.price)
        await self._recorder.record(AttemptReport(claimed.attempt, report))
        await self.at_step("recorded")

    async def _is_new(self, claimed: ClaimedText, since: datetime) -> bool:
        """Return whether a text from before a restore of the database is still unsent; if that is unclear, withdraw it."""
        try:
            if await self._lookups.sent_before(claimed.attempt, since):
                ASKED.labels("found").inc()
                return False
        except CarrierError as error:
            await self._withdraw(claimed, error, None)
            return False
        if self._is_late(claimed):
            await self._withdraw(claimed, CarrierError("The carrier took long to list its texts."), None)
            return False
        return True

    def _is_late(self, claimed: ClaimedText) -> bool:
        return monotonic_ms() - claimed.began_ms > self._limits.request_seconds * 1000

    def _text(self, claimed: ClaimedText) -> Text:
        head = claimed.head
        return Text(
            account=head.rules.account,
            from_e164=head.number_e164,
            to_e164=head.to_e164,
            body=head.body,
            # An uploaded file has no URL of its own: the carrier gets a new link with each attempt.
            media_urls=[url or self._links.make(head.id, n, now()) for n, url in enumerate(head.media_urls)],
            status_url=self._status_url.format(ids.show(Kind.SEND, claimed.attempt)),
            validity_seconds=claimed.validity_seconds,
        )

    async def _failed(self, claimed: ClaimedText, error: CarrierError) -> None:
        code = error.metadata.get("carrier_code") or None
        LOG.warning("the carrier did not accept a text", error=str(error)[:200], code=code)
        fault = code in retries.ACCOUNT_FAULTS
        if was_not_sent(error) or (is_refusal(error) and fault):
            ASKED.labels("busy" if isinstance(error, CarrierBusy) or fault else "away").inc()
            await self._withdraw(claimed, error, code)
        elif is_refusal(error):
            ASKED.labels("refused").inc()
            async with self._db.system() as tx:
                await statuses.refused(tx, await text_attempts.lock(tx, claimed.attempt), code)
        else:
            ASKED.labels("unknown").inc()
            async with self._db.system() as tx:
                attempt = await text_attempts.lock(tx, claimed.attempt)
            try:
                await self._lookups.look_up(attempt)
            except CarrierError as lookup_error:  # the sweep tries again
                LOG.warning("could not look up a text at the carrier", error=str(lookup_error)[:200])

    async def _withdraw(self, claimed: ClaimedText, error: CarrierError, code: str | None) -> None:
        """Make a text due again that the carrier did not accept, and back off the number."""
        recovery, number = self._limits.recovery, claimed.head.number_e164
        wait_seconds = sendpace.backoff_seconds(
            recovery.retry_seconds, self._setbacks[number], recovery.longest_seconds
        )
        self._setbacks[number] += 1
        if isinstance(error, CarrierBusy):
            wait_seconds = max(error.retry_after_seconds, min(wait_seconds, recovery.longest_seconds))
        async with self._db.system() as tx:
            attempt = await text_attempts.lock(tx, claimed.attempt)
            await statuses.withdrawn(tx, attempt, code)
            if isinstance(error, CarrierBusy):
                await sends.slow(tx, attempt.from_e164, attempt.started_at)
            await sends.block(tx, attempt.from_e164, wait_seconds)
