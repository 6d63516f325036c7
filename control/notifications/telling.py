"""From what happened to e-mails that wait: a reader of the outbox notes whom to tell, and a sweep makes e-mails of that.

A person gets so many e-mails in an hour; what happens beyond that waits, and goes together in the next one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from control import jobs
from control.notifications import rules
from hum import ids
from hum.clock import now
from storage import notifications
from storage.db import Db, Tx
from storage.events import Event
from storage.notifications import DueRow, NewEmail

#: People of one transaction.
MOST_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class Manners:
    """How much is told, and for how long it is news."""

    per_hour: int
    bounce: timedelta
    news: timedelta
    transcript: timedelta
    invitations: int
    invitations_per_address: int


class Teller:
    """`is_on`: whether this deployment sends e-mails."""

    def __init__(self, db: Db, manners: Manners, *, is_on: bool) -> None:
        self._db, self._manners, self._is_on = db, manners, is_on

    async def read(self, tx: Tx, events: Sequence[Event]) -> None:
        """Note whom to tell of these events; of what is old, nobody: e-mails were off, or nothing worked for hours."""
        if not self._is_on:
            return
        oldest = now() - self._manners.news
        for event in events:
            if event.created_at < oldest or event.data is None:
                continue
            if event.type == rules.INVITED:
                await self._invite(tx, event)
            elif event.type == rules.TRANSCRIBED:
                await notifications.hurry(tx, event.org_id, event.subject_id)
            else:
                await self._note(tx, event)

    async def _note(self, tx: Tx, event: Event) -> None:
        kind = rules.KINDS[event.type]
        waits = event.type == rules.RECEIVED and await notifications.wants_transcripts(tx, event.org_id)
        await notifications.note(
            tx,
            event.org_id,
            kind,
            event.id,
            event.subject_id,
            None if kind == rules.VOICEMAIL else json.dumps(event.data),
            wait=self._manners.transcript if waits else timedelta(),
            allowed=rules.ALLOWED[kind],
            default=rules.DEFAULT[kind],
            most=rules.MOST_WAITING,
        )

    async def _invite(self, tx: Tx, event: Event) -> None:
        invited = await notifications.invited(tx, event.org_id, event.subject_id)
        if invited is None:
            return
        reason = rules.over_limit(
            (invited.of_organization, invited.of_address),
            self._manners.invitations,
            self._manners.invitations_per_address,
        )
        new = NewEmail(
            id=ids.new(),
            org_id=event.org_id,
            user_id=None,
            invite_id=event.subject_id,
            to_address=invited.to_address,
            kind=rules.INVITATION,
            reason=reason,
        )
        await notifications.add(tx, new)
        if reason is None:
            await jobs.enqueue(tx, rules.SEND, event.org_id, new.id)

    async def compose(self) -> None:
        """Make e-mails of what is due, and enqueue them, for a few people at a time."""
        if not self._is_on:
            return
        while True:
            async with self._db.system() as tx:
                due = await notifications.due(tx, self._manners.per_hour, self._manners.bounce, MOST_PEOPLE)
                made = [await self._compose(tx, row) for row in due]
            if not any(made):
                return

    async def _compose(self, tx: Tx, row: DueRow) -> bool:
        # Once more, now that nobody else counts: also for a person whom two organizations tell something.
        if await notifications.sent_this_hour(tx, row.user_id) >= self._manners.per_hour:
            return False
        waiting = await notifications.waiting(tx, row)
        if not waiting:  # another worker was faster
            return False
        new = NewEmail(
            id=ids.new(),
            org_id=row.org_id,
            user_id=row.user_id,
            invite_id=None,
            to_address=row.to_address,
            kind=rules.kind_of([kind for _, kind in waiting]),
            notices=len(waiting),
        )
        await notifications.add(tx, new, [id for id, _ in waiting])
        await jobs.enqueue(tx, rules.SEND, row.org_id, new.id)
        return True
