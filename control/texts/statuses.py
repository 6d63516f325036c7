"""What the carrier says of a text, whoever brings it: the answer to our request, its callbacks, its list.

Each word is kept.  An attempt's standing follows from all of them together (`control.delivery.rules`), and the message's from
that of its latest attempt; so words may come late, twice, and in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from prometheus_client import Counter

from control.base import hours as opening
from control.base import phone
from control.delivery import outbox, rules
from control.delivery.rules import Standing
from control.optouts import usecases as optouts
from control.texts import hours
from control.usage import other as usage
from hum import ids
from hum.clock import now
from hum.errors import NotFound
from hum.ids import Kind
from hum.telemetry import log
from storage import contacts, messages, recipients, sends, text_attempts
from storage import usage as usages
from storage.db import Tx
from storage.sends import HeadRow
from storage.text_attempts import AttemptRow
from storage.usage import Owner, TextRow

LOG = log(__name__)
DOUBLED = Counter("hum_texts_doubled_total", "Texts that the carrier sent after it had said twice that it has none")
STOPPED = Counter("hum_text_numbers_stopped_total", "Numbers that the carrier lets send nothing, by its code", ["code"])
FAILED = Counter("hum_texts_failed_total", "Texts that were not delivered, by the carrier's code", ["code"])


@dataclass(frozen=True, slots=True)
class News:
    """What the carrier says.  `by`: `answer`, `callback` or `list`; `segments` 0: it does not say."""

    sid: str
    status: str
    error_code: str | None
    by: str
    segments: int = 0
    #: What it charges, if it has told that yet.
    price: tuple[Decimal, str] | None = None


async def report(tx: Tx, id: UUID, news: News, to_e164: str | None) -> None:
    """Take what is said of an attempt.  Raises NotFound for one that there is not, or whose other facts don't fit: that is nothing
    that the carrier says.
    """
    attempt = await text_attempts.lock(tx, id)
    if attempt.carrier_sid not in {None, news.sid} or to_e164 not in {None, attempt.to_e164}:
        LOG.warning("a callback does not fit its attempt", attempt=ids.show(Kind.SEND, id))
        raise NotFound("There is no such attempt.")
    await take(tx, attempt, news)


async def take(tx: Tx, attempt: AttemptRow, news: News) -> None:
    """Take what the carrier says of an attempt that is locked."""
    await _count(tx, attempt, news)
    words = await text_attempts.words(tx, attempt.id, rules.MOST_WORDS)
    if len(words) < rules.MOST_WORDS:
        await text_attempts.say(tx, attempt, news.status, news.error_code, news.by)
    known = [(attempt.carrier_status or "", attempt.error_code), *words]
    stands = standing([*known, (news.status, news.error_code)])
    if stands is None:
        return  # a word that says nothing of how it stands
    if news.error_code and news.status in rules.ERRORS and news.error_code not in {code for _, code in known}:
        await heed(tx, attempt, news.error_code)
    if await text_attempts.is_latest(tx, attempt):
        await _project(tx, attempt, news, stands)
    else:
        await _too_late(tx, attempt, news, stands)


async def _count(tx: Tx, attempt: AttemptRow, news: News) -> None:
    """The carrier has the text: it charges for that, also if it is not delivered."""
    if (text := counted(attempt, news.segments)) is not None:
        await usage.texts_sent(tx, [text], now())
        if attempt.sent_at is not None:  # else that the message is sent will be read
            await usages.announce(tx, Owner(attempt.org_id, attempt.message_id))
    if news.price is not None:
        await usage.text_priced(tx, attempt.org_id, attempt.message_id, attempt.number, news.price)


def counted(attempt: AttemptRow, segments: int) -> TextRow | None:
    """What is used, if the carrier has this text only now, or only now says how many segments it is (0: it does not)."""
    if attempt.carrier_sid is not None and segments in {0, attempt.segments}:
        return None
    return usage.sent_text(attempt.message_id, attempt.number, attempt.to_e164, segments or attempt.segments)


def standing(pairs: Sequence[tuple[str, str | None]]) -> Standing | None:
    """How an attempt stands by these statuses and codes; None: they say nothing of that."""
    words = (rules.word(status, code) for status, code in pairs)
    return rules.standing(each for each in words if each is not None)


async def _project(tx: Tx, attempt: AttemptRow, news: News, standing: Standing) -> None:
    """The message stands as its latest attempt does; what we had guessed of it is forgotten."""
    if attempt.status == "canceled" and not await recipients.reclaim(tx, attempt.message_id):
        DOUBLED.inc()
        LOG.error(
            "a recipient has two texts: one was taken back, and has left",
            message=ids.show(Kind.MESSAGE, attempt.message_id),
        )
    failed = standing.status not in {"sent", "delivered"}
    again = failed and not standing.reached and await _may_retry(tx, attempt, standing)
    waits = attempt.state == "failed" and (attempt.retry_at is not None or attempt.due_at is not None)
    retry_at = attempt.retry_at
    if again and not waits:
        retry_at = await _retry_at(tx, attempt, standing)
    again = again and (retry_at is not None or waits)
    await text_attempts.set(
        tx,
        attempt.id,
        "failed" if again else "accepted",
        carrier_sid=news.sid,
        carrier_status=standing.carrier_status,
        error_code=standing.error_code,
        retry_at=retry_at if again else None,
    )
    await settle(
        tx,
        attempt,
        "sent" if again else standing.status,
        None if again else standing.error_code,
        due_at=attempt.due_at if again and waits else None,
        news=news,
    )


async def _may_retry(tx: Tx, attempt: AttemptRow, standing: Standing) -> bool:
    if attempt.state == "failed" and attempt.retry_at is None and attempt.due_at is None:
        return False  # it had its other chance, which was withdrawn
    return await text_attempts.failed_before(tx, attempt) < rules.cure(standing.error_code).again


async def _retry_at(tx: Tx, attempt: AttemptRow, standing: Standing) -> datetime | None:
    at, opens_at = now(), None
    if rules.cure(standing.error_code).next_window:
        opens_at = opening.first_open(hours.of_recipient(await messages.rules(tx, attempt.conversation_id)), at)
        opens_at = opens_at if opens_at != at else None  # we take it for open, and the carrier does not
    return rules.retry_at(standing.error_code, await text_attempts.failed_before(tx, attempt), at, opens_at)


async def settle(
    tx: Tx,
    attempt: AttemptRow,
    status: str,
    error_code: str | None,
    *,
    due_at: datetime | None = None,
    news: News | None = None,
) -> None:
    """Set how the message of an attempt that is locked stands, and tell of each change once.

    `news`: what the carrier says of it, None: it never had it, or nobody knows.
    """
    segments = (news.segments if news else 0) or attempt.segments
    sent_at, delivered_at = await text_attempts.set_message(
        tx,
        attempt.message_id,
        status,
        error_code=error_code,
        due_at=due_at,
        carrier_sid=news.sid if news else None,
        segments=segments,
        sent=news is not None or status in {"sent", "delivered"},
    )
    if attempt.sent_at is None and sent_at is not None:
        await outbox.sent(tx, attempt, segments, sent_at)
    if status == attempt.status and error_code == attempt.message_error_code:
        return
    if status == "delivered" and delivered_at is not None:
        await outbox.delivered(tx, attempt, delivered_at)
    if status in {"failed", "undelivered"}:
        FAILED.labels(error_code or "none").inc()
        await outbox.failed(tx, attempt, status, error_code)


async def _too_late(tx: Tx, attempt: AttemptRow, news: News, standing: Standing) -> None:
    """An earlier attempt: another one has taken its place, and the message stands as that one does."""
    if attempt.carrier_sid is None and attempt.state in {"absent", "withdrawn"}:
        DOUBLED.inc()
        LOG.error(
            "the carrier sent a text that it had said it does not have",
            message=ids.show(Kind.MESSAGE, attempt.message_id),
            attempt=attempt.number,
        )
    await text_attempts.set(
        tx,
        attempt.id,
        attempt.state,
        carrier_sid=news.sid,
        carrier_status=standing.carrier_status,
        error_code=standing.error_code,
    )


async def heed(tx: Tx, attempt: AttemptRow, error_code: str) -> None:
    """What an error means for the contact, and for the number's next texts."""
    if error_code == rules.OPTED_OUT:
        await optouts.carrier_says_blocked(
            tx,
            attempt.org_id,
            attempt.to_e164,
            attempt.message_id,
            attempt.conversation_id,
            at=attempt.started_at,
        )
    cure = rules.cure(error_code)
    if cure.flags:
        await contacts.flag_untextable(tx, attempt.org_id, attempt.to_e164, error_code)
    if cure.alerts:
        await outbox.region_refused(tx, attempt, error_code, phone.country(attempt.to_e164), now())
    if cure.slows:
        await sends.slow(tx, attempt.from_e164, attempt.started_at)
    if cure.stops:
        STOPPED.labels(error_code).inc()
        LOG.error("the carrier refuses a number's texts", number=attempt.from_e164, code=error_code)
        await sends.stop(tx, attempt.from_e164, error_code)


# --- what the carrier does not say, or says it never had


async def refused(tx: Tx, attempt: AttemptRow, error_code: str | None) -> None:
    """The carrier will not have the text.  No-op if a callback has told otherwise."""
    if attempt.state != "posting":
        return
    await text_attempts.set(tx, attempt.id, "rejected", error_code=error_code)
    if error_code is not None:
        await heed(tx, attempt, error_code)
    await settle(tx, attempt, rules.status_of("failed", error_code), error_code or "refused")


async def withdrawn(tx: Tx, attempt: AttemptRow, error_code: str | None) -> None:
    """The carrier did not take the text, for the moment."""
    if attempt.state != "posting":
        return
    await text_attempts.set(tx, attempt.id, "withdrawn", error_code=error_code)
    await text_attempts.forget_withdrawn(tx, attempt)
    await text_attempts.due_again(tx, attempt.id)
    if rules.cure(error_code).stops and error_code is not None:
        await heed(tx, attempt, error_code)


async def absent(tx: Tx, attempt: AttemptRow) -> None:
    """The carrier has said twice that it has no such text: it is due as before."""
    await text_attempts.set(tx, attempt.id, "absent")
    await text_attempts.due_again(tx, attempt.id)


async def unknown(tx: Tx, attempt: AttemptRow) -> None:
    """Nobody can tell whether the carrier has the text: a person decides, or a callback that comes after all."""
    if attempt.state == "posting":
        await text_attempts.set(tx, attempt.id, "unknown")
        await settle(tx, attempt, "unknown", None)


async def stop(tx: Tx, head: HeadRow, status: str, reason: str) -> None:
    """A text that no attempt was made at is not sent."""
    await text_attempts.set_message(tx, head.id, status, error_code=reason)
    if status == "failed":
        FAILED.labels(reason).inc()
        await outbox.not_sent(tx, head, status, reason)
