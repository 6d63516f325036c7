"""Beginning attempts: which of a number's texts leave now.  Conversations before campaigns, each at its pace, a thread's texts one
after another; the gate is asked once more, in the transaction that begins the attempt.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Histogram

from control.base import hours as opening
from control.delivery import rules
from control.texts import gate, statuses, writing
from control.texts.gate import Send, Stop, Wait
from control.texts.paces import Paces
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
#: The longest that the carrier keeps a text which it can't send at once (Twilio "Message", ValidityPeriod).
LONGEST_VALIDITY = timedelta(seconds=36_000)
CONVERSATIONS, CAMPAIGNS = writing.CONVERSATION_LANE, writing.CAMPAIGN_LANE


@dataclass(frozen=True, slots=True)
class Means:
    """How fast and how patiently the carrier is asked."""

    paces: Paces
    #: Of one worker: requests at once, those of campaigns among them, those of one number.
    width: int
    campaign_width: int
    number_width: int
    #: Seconds: what leaves together at a fast pace, between looks for texts, of one request.
    quantum_seconds: float
    look_seconds: float
    request_seconds: float
    recovery: "Recovery"


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds: before a carrier that is away is asked again, at first and at most; before a number that was too fast is faster
    again; before one whose texts were refused altogether tries again.
    """

    retry_seconds: float
    longest_seconds: float
    recover_seconds: float
    stop_seconds: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is committed, and the text that it sends."""

    attempt: UUID
    head: HeadRow
    lane: int
    validity_seconds: int
    began_ms: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Attempts that begin now, and the seconds until the number may have more to send; None: nothing is due."""

    begun: list[Claimed]
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Throttle:
    """A campaign's own pace."""

    id: UUID
    per_minute: int

    def step_seconds(self, texts: int) -> float:
        return rules.campaign_step(self.per_minute, texts)


class Claims:
    """Begins attempts; those of one number in one process at a time."""

    def __init__(self, db: Db, means: Means) -> None:
        self._db, self._means = db, means

    async def claim(self, number_e164: str, room: int, campaign_room: int) -> Claim:
        """Begin the number's next attempts, if it may send."""
        async with self._db.system() as tx:
            pace = await sends.lock_pace(tx, number_e164)
            if pace is None:
                return Claim([], self._means.quantum_seconds)  # another process is at it
            recovery = self._means.recovery
            stopped = rules.stopped_seconds(pace.stopped_code, pace.stopped_at, pace.at, recovery.stop_seconds)
            if (wait_seconds := max(pace.wait_seconds, stopped)) > 0:
                return Claim([], wait_seconds)
            lane, heads = CONVERSATIONS, await sends.talks(tx, number_e164, room)
            campaign_wait, throttle = None, None
            if not heads and campaign_room > 0:
                lane = CAMPAIGNS
                heads, campaign_wait, throttle = await self._of_campaigns(tx, number_e164, campaign_room)
            if not heads:
                return Claim([], campaign_wait)
            setbacks = rules.setbacks(pace.setbacks, pace.slowed_ago_seconds, recovery.recover_seconds)
            per_second = rules.pace(self._means.paces.of(number_e164, heads[0].rules.account), setbacks)
            begun = await self._begin(tx, heads, lane, rules.at_once(per_second, self._means.quantum_seconds), pace.at)
            if begun:
                segments = sum(each.head.segments for each in begun)
                await sends.pace(tx, number_e164, segments / per_second, setbacks)
                if throttle is not None:
                    await sends.pace_campaign(tx, throttle.id, throttle.step_seconds(len(begun)))
        return Claim(begun, 0.0)

    async def _of_campaigns(
        self, tx: Tx, number_e164: str, room: int
    ) -> tuple[list[HeadRow], float | None, "Throttle | None"]:
        """The next texts of the campaign whose turn it is, with its throttle; else the seconds until some campaign's turn."""
        waits = list[float]()
        for campaign in await sends.campaigns(tx, number_e164):
            if campaign.per_minute is None:
                if heads := await sends.of_campaign(tx, number_e164, campaign.id, room):
                    return heads, None, None
                continue
            wait_seconds = campaign.wait_seconds
            if wait_seconds <= 0:
                locked = await sends.lock_campaign(tx, campaign.id)
                wait_seconds = self._means.quantum_seconds if locked is None else locked
            if wait_seconds > 0:
                waits.append(wait_seconds)
                continue
            texts = min(room, rules.at_once(campaign.per_minute / 60, self._means.quantum_seconds))
            if heads := await sends.of_campaign(tx, number_e164, campaign.id, texts):
                return heads, None, Throttle(campaign.id, campaign.per_minute)
        return [], min(waits, default=None), None

    async def _begin(self, tx: Tx, heads: list[HeadRow], lane: int, most_segments: int, at: datetime) -> list[Claimed]:
        """Begin an attempt at each of these that may leave now, up to so many segments; settle what becomes of the others."""
        begun, segments, began_ms = list[Claimed](), 0, monotonic_ms()
        for head in heads:
            if begun and segments + head.segments > most_segments:
                break
            known = writing.facts(head.rules, head.sent_by, head.honors_hours, None, head.expires_at)
            match gate.decide(known, at):
                case Send():
                    latest = at + LONGEST_VALIDITY
                    latest = min(latest, head.expires_at or latest)
                    if not known.is_system:
                        latest = opening.open_until([each.hours for each in known.kept], at, latest)
                    validity_seconds = max(1, int((latest - at).total_seconds()))
                    begun.append(Claimed(ids.new(), head, lane, validity_seconds, began_ms))
                    segments += head.segments
                    LAG.labels(lane).observe(max(0.0, (at - head.due_at).total_seconds()))
                case Wait(until, held_by):
                    await sends.defer(tx, head.id, until, held_by)
                case Stop(status, reason):
                    await self._stop(tx, head, status, reason)
        if begun:
            await sends.begin(
                tx,
                [each.attempt for each in begun],
                [each.head.id for each in begun],
                [each.head.rules.account for each in begun],
            )
        for each in begun:
            if each.head.status == "scheduled":
                await conversations.touch(tx, each.head.conversation_id, at, each.head.body, "outbound")
        return begun

    async def _stop(self, tx: Tx, head: HeadRow, status: str, reason: str) -> None:
        """It is never sent.  One that the carrier had once and could not deliver stays so."""
        if head.status == "sent":
            attempt = await text_attempts.lock_latest(tx, head.id)
            failed = rules.status_of(attempt.carrier_status or "failed", attempt.error_code)
            await statuses.settle(tx, attempt, failed, attempt.error_code)
        else:
            await statuses.stop(tx, head, status, reason)
