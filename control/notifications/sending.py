"""The job that sends an e-mail: rendered from current data, sent with no transaction open, recorded.

It runs again until the server has answered.  If the process dies between the server's answer and the record, the e-mail is sent
again with the same Message-ID.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from uuid import UUID

from prometheus_client import Counter

from control.notifications import letters, rendering
from control.notifications.letters import Letter
from control.transfers.record import NOT_TAKEN
from hum.clock import now
from hum.smtp import Bounced, NotSent, Rejected
from storage import notifications
from storage.db import Db, Tx
from storage.notifications import EmailAttemptRow

EMAILS = Counter("hum_emails_total", "Attempts at sending e-mails, by outcome", ["how"])

Send = Callable[[EmailMessage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Mailer:
    """The sender of e-mails.  `send` raises as `hum.smtp.send`; None: this deployment sends no e-mails."""

    db: Db
    send: Send | None
    sender: str
    public_url: str
    patience: timedelta
    clock: Callable[[], datetime] = now

    async def deliver(self, org: UUID, id: UUID) -> None:
        """Send a pending e-mail.  Raises NotSent, to be retried, until its time limit."""
        async with self.db.system() as tx:
            row = await notifications.begin(tx, org, id)
            letter = await self._letter(tx, row) if row else None
            if row is None:
                return
            if letter is None or self.send is None:
                await self._end(tx, row, "dropped", None if letter is None else "e-mails were switched off")
                return
        try:
            message = rendering.message(letter, row.id, self.sender, row.to_address, row.created_at)
            await self.send(message)
        except NotSent as error:
            await self._postpone(row, error)
        except Bounced as error:
            await self._record(row, "bounced", str(error))
        except (Rejected, ValueError) as error:
            await self._record(row, "failed", str(error))
        else:
            await self._record(row, "sent", None)

    async def _letter(self, tx: Tx, row: EmailAttemptRow) -> Letter | None:
        if row.invite_id is not None:
            invitation = await notifications.invitation(tx, row.invite_id)
            return letters.invitation(invitation, self.public_url) if invitation else None
        assert row.user_id is not None, "an e-mail is a member's or an invitation"
        reader = await notifications.reader(tx, row.org_id, row.user_id)
        notices = await notifications.notices(tx, row.id, NOT_TAKEN)
        return letters.letter(reader, notices, self.public_url) if reader and notices else None

    async def _postpone(self, row: EmailAttemptRow, error: NotSent) -> None:
        if self.clock() - row.created_at >= self.patience:
            await self._record(row, "failed", str(error))
            return
        EMAILS.labels("postponed").inc()
        async with self.db.system() as tx:
            await notifications.postpone(tx, row.id, str(error))
        raise error

    async def _record(self, row: EmailAttemptRow, state: str, error: str | None) -> None:
        async with self.db.system() as tx:
            await self._end(tx, row, state, error)

    async def _end(self, tx: Tx, row: EmailAttemptRow, state: str, error: str | None) -> None:
        await notifications.end(tx, row.id, state, error.replace("\0", "") if error else None)
        EMAILS.labels(state).inc()
