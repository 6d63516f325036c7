"""What a worker runs for texts, a step at a time, over a carrier that is a plain object."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from control.base.filelinks import FileLinks
from control.texts import writing
from control.texts.claims import Claims, Recovery, TextClaim, TextSendLimits
from control.texts.lookups import ReconciliationTimes, TextLookups
from control.texts.paces import Paces
from control.texts.posting import AtStep, TextPoster, _go_on
from control.texts.sender import TextSender
from control.texts.statusbatches import AttemptReport, StatusRecorder
from control.texts.statuses import CarrierReport
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage.messages import MessageRow
from tests.control.conftest import FakeCarrier
from tests.control.texts.conftest import CONTACT, NUMBER, Texting


def paced(segments_per_second: float) -> Paces:
    return Paces(segments_per_second, {}, our_account="AC0")


LIMITS = TextSendLimits(
    paces=paced(1000.0),
    width=16,
    campaign_width=12,
    number_width=8,
    quantum_seconds=0.05,
    poll_seconds=0.05,
    request_seconds=2.0,
    recovery=Recovery(retry_seconds=0.01, longest_seconds=1.0, recover_seconds=60.0, stop_seconds=900.0),
)
TIMES = ReconciliationTimes(
    look_up=timedelta(seconds=60),
    unknown=timedelta(hours=1),
    reconcile=timedelta(hours=6),
    oldest=timedelta(days=3),
    request=timedelta(seconds=2),
)
LINKS = FileLinks([b"k" * 32], "https://hum.example/files/")


@dataclass
class TextDesk:
    texting: Texting
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    limits: TextSendLimits = LIMITS

    def __post_init__(self) -> None:
        self.db, self.org = self.texting.db, self.texting.org

    # -- a worker's parts

    @property
    def lookups(self) -> TextLookups:
        return TextLookups(self.db, self.carrier, TIMES)

    def poster(self, at_step: AtStep = _go_on) -> TextPoster:
        return TextPoster(self.db, self.carrier, self.lookups, "https://hum.example", self.limits, LINKS, at_step)

    def sender(self, at_step: AtStep = _go_on, **limits: Any) -> TextSender:
        self.limits = replace(self.limits, **limits)
        return TextSender(self.db, Claims(self.db, self.limits), self.poster(at_step), self.limits)

    async def send(self, **limits: Any) -> None:
        await self.sender(**limits).send_due()

    async def claim(self, number: str = NUMBER) -> TextClaim:
        return await Claims(self.db, self.limits).claim(number, 8, 8)

    # -- texts

    async def write(
        self, body: str = "Hello", sent_by: str = "human", contact: str = CONTACT, **draft: Any
    ) -> MessageRow:
        async with self.db.tenant(self.org) as tx:
            thread = await self.texting.thread(tx, contact)
            made = TextDraft(body, sent_by, **{"honors_hours": False, **draft})
            return await writing.write(tx, thread, made, now())

    async def row(self, message: MessageRow) -> Any:
        async with self.db.system() as tx:
            return await tx.fetchrow("SELECT * FROM messages WHERE id = $1", message.id)

    async def state(self, message: MessageRow) -> tuple[str, str | None, list[str]]:
        """Status, code, and the attempts' states."""
        row = await self.row(message)
        async with self.db.system() as tx:
            attempts = await tx.fetch(
                "SELECT state FROM message_attempts WHERE message_id = $1 ORDER BY number", message.id
            )
        return row["status"], row["error_code"], [each["state"] for each in attempts]

    async def events(self, message: MessageRow) -> list[str]:
        async with self.db.system() as tx:
            rows = await tx.fetch(
                "SELECT type FROM events WHERE subject_id = $1 AND type <> 'usage.recorded' ORDER BY id", message.id
            )
        return [row["type"] for row in rows]

    @property
    def bodies(self) -> list[str]:
        """What the carrier has, in the order in which it got it."""
        return [each.body for each in self.carrier.texted.values()]

    # -- what the carrier says

    def attempt(self, sid: str) -> str:
        """The attempt that a text at the carrier names in its URL."""
        return self.carrier.texted[sid].status_url.partition("#")[0].rpartition("/")[2]

    async def says(self, sid: str, status: str, code: str | None = None, **fields: Any) -> None:
        name = fields.get("name", self.attempt(sid) if sid in self.carrier.texted else "")
        to_e164 = fields["to_e164"] if "to_e164" in fields else self.carrier.texted[sid].to_e164
        report = CarrierReport(sid, status, code, "callback")
        await StatusRecorder(self.db).record(AttemptReport(ids.require(Kind.SEND, name), report, to_e164))

    # -- time

    async def later(self, seconds: float) -> None:
        """Let time pass for texts, attempts and paces."""
        passed = timedelta(seconds=seconds)
        async with self.db.system() as tx:
            await tx.execute("UPDATE messages SET due_at = due_at - $1::interval, expires_at = expires_at - $1", passed)
            await tx.execute(
                """UPDATE message_attempts SET started_at = started_at - $1::interval, looked_at = looked_at - $1,
                                               sought_at = sought_at - $1,
                                               retry_at = retry_at - $1, due_at = due_at - $1""",
                passed,
            )
            await tx.execute(
                """UPDATE text_paces SET next_at = next_at - $1::interval, slowed_at = slowed_at - $1,
                                         stopped_at = stopped_at - $1""",
                passed,
            )

    async def attempts(self) -> list[Any]:
        async with self.db.system() as tx:
            return await tx.fetch("SELECT * FROM message_attempts ORDER BY started_at, number")


def shown(id: UUID) -> str:
    return ids.show(Kind.SEND, id)
