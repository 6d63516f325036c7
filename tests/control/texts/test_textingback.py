"""The text to a caller who reached nobody: once, whatever is repeated, and to nobody who may not be texted."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control import jobs, readers
from control.feature import Reader
from control.texts import missedcalls, textingback
from hum import ids
from hum.clock import now
from hum.v1 import calls_pb2, events_pb2
from storage import calls, events, missed_calls, numbers
from storage.calls import NewCall, TurnRow
from storage.events import ReaderStart
from tests.control.texts.conftest import CONTACT, NUMBER, Texting

TEXT = "Sorry we missed you, {{contact.first_name|friend}}."
READER = Reader(textingback.READER, ReaderStart.BEGINNING, textingback.EVENTS, textingback.enqueue, 1.0, shares=True)


@dataclass
class Missing:
    """Calls that nobody answered, and what their callers get."""

    texting: Texting

    def __post_init__(self) -> None:
        self.db, self.org, self.number = self.texting.db, self.texting.org, self.texting.number

    async def call(
        self, caller: str = CONTACT, reason: str = "after_hours", *said: str, number: UUID | None = None
    ) -> UUID:
        id = ids.new()
        async with self.db.tenant(self.org) as tx:
            new = NewCall(
                id,
                self.org,
                f"CA{id.hex}",
                "inbound",
                "ringing",
                caller,
                NUMBER,
                number or self.number,
                None,
                None,
                None,
            )
            await calls.create(tx, new)
            await calls.end(tx, id, "completed", now(), reason, None)
            for seq, words in enumerate(said):
                await calls.add_turn(tx, self.org, id, TurnRow(seq, "caller", words, None, 0, 1, False))
            event = events_pb2.CallCompletedEvent(direction=calls_pb2.CALL_DIRECTION_INBOUND, reason=reason)
            await events.append(tx, self.org, id, event)
        return id

    async def text_back(self, call: UUID) -> bool:
        return await textingback.text_back(self.db, frozenset(), self.org, call)

    async def texts(self, call: UUID | None = None) -> list[dict[str, Any]]:
        async with self.db.system() as tx:
            rows = await tx.fetch("SELECT * FROM messages WHERE $1::uuid IS NULL OR call_id = $1 ORDER BY id", call)
        return [dict(row) for row in rows]

    async def execute(self, statement: str, *values: object) -> None:
        async with self.db.system() as tx:
            await tx.execute(statement, *values)

    async def owed(self) -> list[UUID]:
        """The calls of the waiting jobs, which are removed."""
        async with self.db.system() as tx:
            rows = await tx.fetch(
                "DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", missedcalls.TEXT_BACK.name
            )
        return [jobs.read_payload(row["payload"])[1] for row in rows]


@pytest.fixture
async def missing(texting: Texting) -> Missing:
    world = Missing(texting)
    await world.execute("UPDATE numbers SET missed_call_text = $1", TEXT)
    return world


async def test_a_job_that_runs_twice_or_dies_between_writes_one_text(
    missing: Missing, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await missing.call()

    async def die(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as dying:
        dying.setattr(missed_calls, "set_call", die)
        with pytest.raises(ConnectionResetError):
            await missing.text_back(call)
    assert await missing.texts() == []
    assert [await missing.text_back(call) for _ in range(2)] == [True, False]
    (text,) = await missing.texts(call)
    assert (text["body"], text["status"], text["sent_by"]) == ("Sorry we missed you, friend.", "queued", "ai")
    assert (text["contact_e164"], text["number_e164"]) == (CONTACT, NUMBER)
    await missing.execute("UPDATE messages SET created_at = now() - interval '25 hours'")
    assert not await missing.text_back(call), "a call is answered once, however late its job is repeated"


async def test_the_reader_enqueues_calls_that_may_have_been_missed(missing: Missing) -> None:
    expected = {await missing.call(), await missing.call("+13175550001", "caller")}
    await missing.call("+13175550002", "blocked")
    silent = ids.new()
    async with missing.db.tenant(missing.org) as tx:
        row = await numbers.get(tx, missing.number)
    await missing.execute(
        "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, '+12125550111', 'PN9', $3)",
        silent, missing.org, row.capabilities,
    )  # fmt: skip
    await missing.call("+13175550003", number=silent)
    await readers.read(missing.db, READER)
    assert set(await missing.owed()) == expected


async def test_a_caller_gets_one_in_24_hours_from_all_numbers(missing: Missing) -> None:
    assert await missing.text_back(await missing.call())
    other = ids.new()
    await missing.execute(
        """INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities, sms_enabled, missed_call_text)
           SELECT $1, org_id, '+12125550111', 'PN9', capabilities, true, missed_call_text FROM numbers""",
        other,
    )
    again = await missing.call(number=other)
    assert not await missing.text_back(again)
    await missing.execute("UPDATE messages SET created_at = now() - interval '25 hours'")
    assert await missing.text_back(again) and len(await missing.texts()) == 2


@pytest.mark.parametrize(
    ("caller", "reason", "said"),
    [
        (CONTACT, "blocked", ()),
        (CONTACT, "caller", ("Hello, is that the clinic?",)),
        (CONTACT, "agent", ()),
        ("anonymous", "after_hours", ()),
        ("+19005551234", "after_hours", ()),
        ("+4915112345678", "after_hours", ()),
        (NUMBER, "after_hours", ()),
    ],
)
async def test_who_gets_none(missing: Missing, caller: str, reason: str, said: tuple[str, ...]) -> None:
    assert not await missing.text_back(await missing.call(caller, reason, *said))
    assert await missing.texts() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE numbers SET missed_call_text = NULL",
        "UPDATE numbers SET sms_enabled = false",
        "UPDATE calls SET caller_verification = 'failed'",
        "UPDATE calls SET ended_at = now() - interval '7 hours'",
        "INSERT INTO voicemails (id, org_id, call_id, audio_path, duration_ms) SELECT id, org_id, id, 'a', 1 FROM calls",
        'INSERT INTO contacts (id, org_id, phone_e164, said_by_lookup) SELECT id, org_id, from_e164, \'{"line_type": "landline"}\' FROM calls',
        "DELETE FROM calls",
    ],
)
async def test_what_leaves_it_unwritten(missing: Missing, change: str) -> None:
    call = await missing.call()
    await missing.execute(change)
    assert not await missing.text_back(call)
    assert await missing.texts() == []


async def test_it_waits_for_the_open_hours_in_a_conversation_that_opens_again(missing: Missing) -> None:
    async with missing.db.tenant(missing.org) as tx:
        thread = await missing.texting.thread(tx)
    await missing.execute("UPDATE conversations SET status = 'closed' WHERE id = $1", thread.id)
    tomorrow = f"{now() + timedelta(days=1):%a}".lower()
    hours = json.dumps({"weekly": {tomorrow: [["00:00", "24:00"]]}})
    await missing.execute("UPDATE organizations SET time_zone = 'UTC', business_hours_json = $1", hours)
    assert await missing.text_back(await missing.call())
    (text,) = await missing.texts()
    assert (text["status"], text["held_by"]) == ("scheduled", "organization_hours")
    async with missing.db.system() as tx:
        assert await tx.fetchval("SELECT status FROM conversations WHERE id = $1", thread.id) == "open"


async def test_whoever_opted_out_gets_none(missing: Missing) -> None:
    await missing.execute(
        "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES ($1, $2, true, 'keyword')",
        missing.org,
        CONTACT,
    )
    await missing.text_back(await missing.call())
    assert [text["status"] for text in await missing.texts()] == ["opted_out"]
