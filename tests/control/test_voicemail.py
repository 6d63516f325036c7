"""What becomes of a mailbox's files, on a real queue: whatever was written is kept, once, and transcribed as soon as that works."""

import wave
from pathlib import Path
from uuid import UUID

import pytest

from control.calls import ending, reports
from control.flows import mailbox
from control.voicemail import files, messageparts
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.objects.files import Files
from hum.v1 import runtime_pb2 as pb
from storage import calls
from storage.calls import NewCall
from storage.voicemails import PartRow
from tests.control.worker.conftest import World, world

__all__ = ["world"]
CARRIER_SID = "CA" + "7" * 32


def recorded(world: World, call: UUID, ms: int, number: int = 1, *, header: bool = True) -> str:
    """A file as the media plane leaves it, of one value; without a true header, as a killed process may."""
    name = ids.show(Kind.CALL, call)
    path = f"org/{name}.wav" if number == 1 else f"org/{name}.{number}.wav"
    full = world.settings.recordings_dir / path
    full.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(full), "wb") as wav:
        wav.setparams((1, 2, 8_000, 0, "NONE", ""))
        wav.writeframes(bytes([number]) * 16 * ms)
    if not header:
        full.write_bytes(bytes(44) + full.read_bytes()[44:] + b"x")
    return path


async def live_call(world: World, flow: UUID | None = None) -> UUID:
    id = ids.new()
    row = NewCall(
        id, world.org, f"CA{id.hex}", "inbound", "in_progress", "+13175550199", "+13175550100", None, flow,
        1 if flow else None, None,
    )  # fmt: skip
    async with world.db.system() as tx:
        await calls.create(tx, row)
    return id


class Node:
    """A media process that reports on the streams of one call."""

    def __init__(self, world: World, call: UUID) -> None:
        self._world, self.call, self._batch, self._seq = world, call, 0, 0
        self.stream = 0

    async def open(self) -> None:
        self.stream, self._seq = self.stream + 1, 0
        async with self._world.db.system() as tx:
            await tx.execute(
                "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, $3, 'MZ', 'n')",
                self._world.org, self.call, self.stream,
            )  # fmt: skip
            await tx.execute("UPDATE calls SET streams_opened = $2 WHERE id = $1", self.call, self.stream)

    async def report(self, **fact: object) -> None:
        self._seq, self._batch = self._seq + 1, self._batch + 1
        report = pb.Report(
            call_id=ids.show(Kind.CALL, self.call),
            stream_number=self.stream,
            seq=self._seq,
            **fact,  # type: ignore[arg-type]
        )
        report.at.FromDatetime(now())
        await reports.apply_batch(self._world.db, "n", pb.ReportBatch(seq=self._batch, reports=[report]))


async def over(world: World, call: UUID) -> None:
    async with world.db.system() as tx:
        await ending.end_call(tx, await calls.lock(tx, call), "completed", now(), "stream_lost")


STORED = "SELECT duration_ms FROM voicemails"
DONE = "SELECT count(*) FROM pgqueuer"


async def test_a_message_whose_process_died_is_kept_as_far_as_it_was_written(world: World) -> None:
    call = await live_call(world, await world.flow(language="fr-FR", voicemail_enabled=True))
    node = Node(world, call)
    await node.open()
    await node.report(message_started=pb.MessageStarted(path=recorded(world, call, 2_500, header=False)))
    await over(world, call)
    async with world.working():
        assert await world.until(STORED) == 2_500
        assert await world.until("SELECT transcript FROM voicemails") == "Please call me back."
        assert await world.until("SELECT summary FROM calls")
        await world.until(DONE, is_true=lambda count: not count)
    ((audio, language),) = world.model.listened
    assert (language, audio[44:60]) == ("fr", b"\x01" * 16)
    assert any("Please call me back." in text for text in world.model.read), "the summary knows of it"
    async with world.db.system() as tx:
        types = [
            row["type"] for row in await tx.fetch("SELECT type FROM events WHERE type LIKE 'voicemail.%' ORDER BY id")
        ]
    assert types == ["voicemail.received", "voicemail.transcribed"]


async def test_the_parts_of_lost_streams_are_one_message(world: World) -> None:
    call = await live_call(world)
    node = Node(world, call)
    for number, ms in ((1, 1_000), (2, 120), (3, 700)):
        await node.open()
        path = recorded(world, call, ms, number)
        await node.report(message_started=pb.MessageStarted(path=path))
        if number == 3:
            await node.report(message_stored=pb.MessageStored(path=path, duration_ms=ms))
    await over(world, call)
    async with world.working():
        assert await world.until(STORED) == 1_700, "a lost stream's blip is no message"
        await world.until(DONE, is_true=lambda count: not count)
    async with world.db.system() as tx:
        path = await tx.fetchval("SELECT audio_path FROM voicemails")
    with wave.open(str(world.settings.recordings_dir / path)) as wav:
        sound = wav.readframes(wav.getnframes())
    assert sound == b"\x01" * 16_000 + b"\x03" * 11_200
    # The last report of a stream may come after all of this, and twice changes nothing.
    await node.report(message_stored=pb.MessageStored(path=path, duration_ms=700))
    async with world.working():
        await world.until(DONE, is_true=lambda count: not count)
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events WHERE type = 'voicemail.received'") == 1
        assert await tx.fetchval("SELECT audio_path FROM voicemails") == path
        last = await tx.fetchval("SELECT type FROM call_events WHERE call_id = $1 ORDER BY seq DESC LIMIT 1", call)
    assert last == "call.ended", "nobody follows the call any more"


async def test_what_nobody_said_is_nothing_and_the_summary_does_not_wait_for_it(world: World) -> None:
    call = await live_call(world, await world.flow())
    node = Node(world, call)
    await node.open()
    await node.report(message_started=pb.MessageStarted(path="org/gone.wav"))
    async with world.db.system() as tx:
        await calls.add_turn(tx, world.org, call, calls.TurnRow(1, "caller", "Hello", None, 0, 1, False))
    await over(world, call)
    async with world.working():
        assert await world.until("SELECT summary FROM calls")
        await world.until(DONE, is_true=lambda count: not count)
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM voicemails") == 0
        assert await tx.fetchval("SELECT count(*) FROM message_parts") == 0


async def test_a_transcription_that_fails_delays_neither_the_message_nor_the_summary_and_is_tried_again(
    world: World,
) -> None:
    call = await live_call(world, await world.flow())
    node = Node(world, call)
    await node.open()
    path = recorded(world, call, 900)
    await node.report(message_started=pb.MessageStarted(path=path))
    await node.report(message_stored=pb.MessageStored(path=path, duration_ms=900))
    async with world.db.system() as tx:
        await calls.add_turn(tx, world.org, call, calls.TurnRow(1, "caller", "Hello", None, 0, 1, False))
    await over(world, call)
    world.model.deaf = 2
    async with world.working():
        assert await world.until("SELECT transcript FROM voicemails") == "Please call me back."
        assert await world.until("SELECT summary FROM calls")
        await world.until(DONE, is_true=lambda count: not count)
    assert len(world.model.listened) == 1
    async with world.db.system() as tx:
        assert await tx.fetchval("SELECT transcription_failed FROM voicemails")


async def test_a_deleted_voicemail_leaves_no_file_and_no_row(world: World) -> None:
    from control import jobs
    from storage import voicemails

    call = await live_call(world)
    node = Node(world, call)
    for number in (1, 2):
        await node.open()
        await node.report(message_started=pb.MessageStarted(path=recorded(world, call, 800, number)))
    await over(world, call)
    async with world.working():
        await world.until("SELECT transcript FROM voicemails")
        await world.until(DONE, is_true=lambda count: not count)
        async with world.db.tenant(world.org) as tx:
            id = await tx.fetchval("SELECT id FROM voicemails")
            await voicemails.delete(tx, id)
            await jobs.enqueue(tx, messageparts.ERASE, world.org, id)
        await world.until("SELECT count(*) FROM voicemails", is_true=lambda count: not count)
    assert list(world.settings.recordings_dir.rglob("*.wav")) == []


async def test_a_path_that_leads_elsewhere_is_no_message(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(100_000))
    inner = tmp_path / "recordings"
    inner.mkdir()
    store, part = Files(inner), PartRow("../secret", whole=True, ended_at=None)
    with pytest.raises(FileNotFoundError):
        await store.load("../secret")
    assert await files.duration_ms(store, part) is None
    assert not await store.remove("../secret")
    assert (tmp_path / "secret").exists()


FLOW = {"voicemail_enabled": True}


@pytest.mark.parametrize(
    ("definition", "why", "first", "count"),
    [
        (FLOW, "agent", "Please leave your name", 1),
        (FLOW, "after_hours", "Thank you for calling. We are closed", 2),
        (FLOW, "unanswered", "We are sorry, nobody", 2),
        (FLOW | {"voicemail_greeting": "Speak."}, "unanswered", "Speak.", 1),
        (FLOW | {"after_hours_message": "Shut."}, "after_hours", "Shut.", 2),
        (FLOW | {"after_hours_message": "Shut.", "voicemail_greeting": "Speak."}, "agent", "Speak.", 1),
        (FLOW | {"language": "de-AT"}, "agent", "Bitte hinterlassen", 1),
        (FLOW | {"language": "nl"}, "agent", "Please leave", 1),
    ],
)
def test_what_a_mailbox_says_first(definition: dict[str, object], why: str, first: str, count: int) -> None:
    openings = mailbox.openings(definition, why)
    assert openings[0].startswith(first) and len(openings) == count
    assert set(openings) <= set(mailbox.texts(definition)), "all of it is rendered before anybody calls"
    assert len(mailbox.openings(definition, why, again=True)) == 1


def test_only_flows_with_a_mailbox_have_its_sentences_rendered() -> None:
    assert mailbox.texts({}) == []
    for lines in mailbox._LINES.values():
        assert set(lines) == set(mailbox.MailboxPrompt)


def test_the_language_of_what_the_carrier_says() -> None:
    ours = mailbox.openings({"language": "nl"}, "agent")
    assert mailbox.language_of(ours, {"language": "nl"}) == "en", "our own sentences are not in Dutch"
    assert mailbox.language_of(["Spreek na de piep."], {"language": "nl"}) == "nl"
