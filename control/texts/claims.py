"""Claims of due texts: which of a number's texts are attempted now.

Conversations go before campaigns, each campaign at its own pace, a thread's texts one after another.  The gate decides once more,
in the transaction that begins the attempt.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Histogram

from control.texts import carrierstatus, sendgate, sendpace, statuses, writing
from control.texts.paces import Paces
from control.texts.sendgate import Send, Stop, Wait
from hum import ids
from hum.clock import monotonic_ms
from storage import conversations, sends, text_attempts
from storage.db import Db, Tx
from storage.sends import HeadRow

LAG = Histogram(
    "hum_text_lag_seconds",
    "From when a text was due until its attempt began",
    ["lane"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
#: The longest time that the carrier queues a text (Twilio "Message", ValidityPeriod).
LONGEST_VALIDITY = timedelta(seconds=36_000)
CONVERSATIONS, CAMPAIGNS = writing.CONVERSATION_LANE, writing.CAMPAIGN_LANE


@dataclass(frozen=True, slots=True)
class TextSendLimits:
    """Paces, concurrency limits, timeouts and back-off of requests to the carrier."""

    paces: Paces
    #: Requests in flight per worker: all, those of campaigns, those of one number.
    width: int
    campaign_width: int
    number_width: int
    #: The time slice whose texts leave together at a fast pace, the polling interval, the request timeout.
    quantum_seconds: float
    poll_seconds: float
    request_seconds: float
    recovery: "Recovery"


@dataclass(frozen=True, slots=True)
class Recovery:
    """Back-off in seconds: first and longest while the carrier is unavailable, until a slowed number speeds up again, and until a
    number whose texts were all refused tries again.
    """

    retry_seconds: float
    longest_seconds: float
    recover_seconds: float
    stop_seconds: float


@dataclass(frozen=True, slots=True)
class ClaimedText:
    """A committed attempt, and the text that it sends."""

    attempt: UUID
    head: HeadRow
    lane: int
    validity_seconds: int
    began_ms: float


@dataclass(frozen=True, slots=True)
class TextClaim:
    """Attempts that begin now, and the seconds until the number may send more; None: nothing is due."""

    attempts: list[ClaimedText]
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Throttle:
    """A campaign's own pace."""

    id: UUID
    per_minute: int

    def step_seconds(self, texts: int) -> float:
        return sendpace.campaign_step(self.per_minute, texts)


class Claims:
    """The claims of attempts; a lock gives each number to one process at a time."""

    def __init__(self, db: Db, limits: TextSendLimits) -> None:
        self._db, self._limits = db, limits

    async def claim(self, number_e164: str, capacity: int, campaign_capacity: int) -> TextClaim:
        """Begin the number's next attempts, if it may send now."""
        async with self._db.system() as tx:
            pace = await sends.lock_pace(tx, number_e164)
            if pace is None:
                return TextClaim([], self._limits.quantum_seconds)  # another process has the lock
            recovery = self._limits.recovery
            stopped = sendpace.stopped_seconds(pace.stopped_code, pace.stopped_at, pace.at, recovery.stop_seconds)
            if (wait_seconds := max(pace.wait_seconds, stopped)) > 0:
                return TextClaim([], wait_seconds)
            lane, heads = CONVERSATIONS, await sends.talks(tx, number_e164, capacity)
            campaign_wait, throttle = None, None
            if not heads and campaign_capacity > 0:
                lane = CAMPAIGNS
                heads, campaign_wait, throttle = await self._of_campaigns(tx, number_e164, campaign_capacity)
            if not heads:
                return TextClaim([], campaign_wait)
            setbacks = sendpace.setbacks(pace.setbacks, pace.slowed_ago_seconds, recovery.recover_seconds)
            per_second = sendpace.pace(self._limits.paces.of(number_e164, heads[0].rules.account), setbacks)
            begun = await self._begin(
                tx, heads, lane, sendpace.at_once(per_second, self._limits.quantum_seconds), pace.at
            )
            if begun:
                segments = sum(claimed.head.segments for claimed in begun)
                await sends.pace(tx, number_e164, segments / per_second, setbacks)
                if throttle is not None:
                    await sends.pace_campaign(tx, throttle.id, throttle.step_seconds(len(begun)))
        return TextClaim(begun, 0.0)

    async def _of_campaigns(
        self, tx: Tx, number_e164: str, capacity: int
    ) -> tuple[list[HeadRow], float | None, "Throttle | None"]:
        """Return the next campaign's texts and throttle; if none may send yet, the seconds until one may."""
        waits = list[float]()
        for campaign in await sends.campaigns(tx, number_e164):
            if campaign.per_minute is None:
                if heads := await sends.of_campaign(tx, number_e164, campaign.id, capacity):
                    return heads, None, None
                continue
            wait_seconds = campaign.wait_seconds
            if wait_seconds <= 0:
                locked = await sends.lock_campaign(tx, campaign.id)
                wait_seconds = self._limits.quantum_seconds if locked is None else locked
            if wait_seconds > 0:
                waits.append(wait_seconds)
                continue
            texts = min(capacity, sendpace.at_once(campaign.per_minute / 60, self._limits.quantum_seconds))
            if heads := await sends.of_campaign(tx, number_e164, campaign.id, texts):
                return heads, None, Throttle(campaign.id, campaign.per_minute)
        return [], min(waits, default=None), None

    async def _begin(
        self, tx: Tx, heads: list[HeadRow], lane: int, most_segments: int, at: datetime
    ) -> list[ClaimedText]:
        """Begin attempts at the texts that may leave now, up to `most_segments`; defer or stop the others."""
        begun, segments, began_ms = list[ClaimedText](), 0, monotonic_ms()
        for head in heads:
            if begun and segments + head.segments > most_segments:
                break
            facts = writing.facts(head.rules, head.sent_by, head.honors_hours, None, head.expires_at)
            match sendgate.decide_send(facts, at):
                case Send():
                    latest = at + LONGEST_VALIDITY
                    latest = min(latest, head.expires_at or latest)
                    latest = facts.open_until(at, latest)
                    validity_seconds = max(1, int((latest - at).total_seconds()))
                    begun.append(ClaimedText(ids.new(), head, lane, validity_seconds, began_ms))
                    segments += head.segments
                    LAG.labels(lane).observe(max(0.0, (at - head.due_at).total_seconds()))
                case Wait(until, held_by):
                    await sends.defer(tx, head.id, until, held_by)
                case Stop(status, reason):
                    await self._stop(tx, head, status, reason)
        if begun:
            await sends.begin(
                tx,
                [claimed.attempt for claimed in begun],
                [claimed.head.id for claimed in begun],
                [claimed.head.rules.account for claimed in begun],
            )
        for claimed in begun:
            if claimed.head.status == "scheduled":
                await conversations.touch(tx, claimed.head.conversation_id, at, claimed.head.body, "outbound")
        return begun

    async def _stop(self, tx: Tx, head: HeadRow, status: str, reason: str) -> None:
        """Finalize a text that is not attempted again: if the carrier had it, with the status of its last attempt."""
        if head.status == "sent":
            attempt = await text_attempts.lock_latest(tx, head.id)
            failed = carrierstatus.status_of(attempt.carrier_status or "failed", attempt.error_code)
            await statuses.set_status(tx, attempt, failed, attempt.error_code)
        else:
            await statuses.stop(tx, head, status, reason)
