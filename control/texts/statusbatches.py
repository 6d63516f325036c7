"""Delivery statuses recorded in batches: one transaction for the plain successes, which most statuses are.

The rules are those of `statuses`.  A status that needs more than itself to be decided (an error, a price, a superseded attempt, a
canceled text) is left to `statuses`, one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from control.texts import carrierstatus, delivery_outbox, statuses
from control.texts.batcher import Batcher
from control.texts.carrierstatus import AttemptState
from control.texts.statuses import CarrierReport
from control.usage import otherentries as usage
from hum.clock import now
from hum.v1.events_pb2 import UsageRecordedEvent
from storage import contacts, events, text_attempts
from storage.db import Db, Tx
from storage.events import NewEvent
from storage.text_attempts import AttemptRow

#: Statuses per transaction, which locks the rows of their texts.
MOST = 64


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """A report of the carrier about an attempt.  `to_e164`: the recipient, if the carrier names it."""

    attempt: UUID
    report: CarrierReport
    to_e164: str | None = None


class StatusRecorder:
    """The recorder of the carrier's statuses, in batches of those that arrive together."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._batcher = Batcher(self._several, self._one, MOST)

    async def record(self, entry: AttemptReport) -> None:
        """Return once the status is committed.  Raises NotFound if the attempt does not exist or does not match."""
        await self._batcher.process(entry)

    async def _several(self, entries: Sequence[AttemptReport]) -> frozenset[int]:
        async with self._db.system() as tx:
            return await record_plain(tx, entries)

    async def _one(self, entry: AttemptReport) -> None:
        async with self._db.system() as tx:
            await statuses.lock_and_apply_report(tx, entry.attempt, entry.report, entry.to_e164)


@dataclass(slots=True)
class _Candidate:
    """An attempt, and the indexes of its new statuses."""

    attempt: AttemptRow
    #: Its statuses so far, with their error codes.
    history: list[tuple[str, str | None]]
    standing: AttemptState | None = None
    indexes: list[int] = field(default_factory=list)
    segments: int = 0


async def record_plain(tx: Tx, entries: Sequence[AttemptReport]) -> frozenset[int]:
    """Record the plain successes; return the indexes of those left to `statuses`, of which nothing is recorded."""
    ids = list(dict.fromkeys(entry.attempt for entry in entries))
    attempts = await text_attempts.lock_all(tx, ids)
    histories = await text_attempts.reports_of(tx, list(attempts))
    superseded = await text_attempts.superseded(tx, list(attempts))
    candidates = {
        id: _Candidate(row, [(row.carrier_status or "", row.error_code), *histories[id]])
        for id, row in attempts.items()
        if id not in superseded and row.status != "canceled"
    }
    for index, entry in enumerate(entries):
        if (candidate := candidates.get(entry.attempt)) is not None:
            candidate.indexes.append(index)
    good = [candidate for candidate in candidates.values() if _is_good(candidate, entries)]
    if not good:
        return frozenset(range(len(entries)))
    await text_attempts.append_reports(
        tx, [_status(candidate.attempt, entries[index]) for candidate in good for index in candidate.indexes]
    )
    accepted = [(candidate, candidate.standing) for candidate in good if candidate.standing is not None]
    await text_attempts.accept_all(
        tx,
        [(candidate.attempt.id, _sid(candidate, entries), standing.carrier_status) for candidate, standing in accepted],
    )
    await _count(tx, good)
    await _set_messages(tx, accepted, entries)
    recorded = {index for candidate in good for index in candidate.indexes}
    return frozenset(index for index in range(len(entries)) if index not in recorded)


def _is_good(candidate: _Candidate, entries: Sequence[AttemptReport]) -> bool:
    """Return whether the attempt is sent or delivered after its new statuses; set its `standing` and `segments`."""
    added = [entries[index] for index in candidate.indexes]
    matches = all(
        candidate.attempt.carrier_sid in {None, entry.report.sid} and entry.to_e164 in {None, candidate.attempt.to_e164}
        for entry in added
    )
    same_sid = len({entry.report.sid for entry in added}) == 1
    if not (matches and same_sid) or any(entry.report.error_code or entry.report.price for entry in added):
        return False
    if len(candidate.history) + len(added) > carrierstatus.MOST_STATUSES:
        return False
    candidate.standing = statuses.standing([*candidate.history, *((entry.report.status, None) for entry in added)])
    candidate.segments = (
        next((entry.report.segments for entry in added if entry.report.segments), 0) or candidate.attempt.segments
    )
    return candidate.standing is not None and candidate.standing.status in {"sent", "delivered"}


def _sid(candidate: _Candidate, entries: Sequence[AttemptReport]) -> str:
    return entries[candidate.indexes[0]].report.sid


def _status(attempt: AttemptRow, entry: AttemptReport) -> tuple[AttemptRow, str, str | None, str]:
    return attempt, entry.report.status, entry.report.error_code, entry.report.by


async def _count(tx: Tx, good: Sequence[_Candidate]) -> None:
    """Record the usage of texts that the carrier has accepted and charges for."""
    texts = [(candidate.attempt, statuses.counted(candidate.attempt, candidate.segments)) for candidate in good]
    await usage.record_sent_texts(tx, [text for _, text in texts if text is not None], now())
    # The others get a `sms.sent` event, from which the usage is read as well.
    late = [attempt for attempt, text in texts if text is not None and attempt.sent_at is not None]
    await events.append_all(
        tx, [NewEvent(candidate.org_id, candidate.message_id, UsageRecordedEvent()) for candidate in late]
    )


async def _set_messages(
    tx: Tx, accepted: Sequence[tuple[_Candidate, AttemptState]], entries: Sequence[AttemptReport]
) -> None:
    """Give the messages the statuses of their attempts, and append one event per change."""
    changed = [(candidate, standing) for candidate, standing in accepted if _changes(candidate, standing)]
    times = await text_attempts.set_messages(
        tx,
        [
            (candidate.attempt.message_id, standing.status, _sid(candidate, entries), candidate.segments)
            for candidate, standing in changed
        ],
    )
    new_events = list[NewEvent]()
    for candidate, standing in changed:
        attempt = candidate.attempt
        sent_at, delivered_at = times[attempt.message_id]
        if attempt.sent_at is None and sent_at is not None:
            new_events.append(delivery_outbox.sent_event(attempt, candidate.segments, sent_at))
        if standing.status == "delivered" and attempt.status != "delivered" and delivered_at is not None:
            new_events.append(delivery_outbox.delivered_event(attempt, delivered_at))
    await events.append_all(tx, new_events)
    arrived = [candidate.attempt for candidate, standing in changed if standing.status == "delivered"]
    await contacts.mark_textable(tx, [(attempt.org_id, attempt.to_e164) for attempt in arrived])


def _changes(candidate: _Candidate, standing: AttemptState) -> bool:
    attempt = candidate.attempt
    is_accepted = attempt.carrier_sid is not None and attempt.sent_at is not None and attempt.due_at is None
    return not (
        is_accepted
        and (attempt.status, attempt.message_error_code, attempt.segments)
        == (standing.status, None, candidate.segments)
    )
