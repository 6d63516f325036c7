"""Files of texts: fetched and kept, or in a state that says why not."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from control.clients.twilio import MediaRefused
from control.clients.twilio_media import File
from control.mms import files, jobs, mediatypes
from control.mms.mediatypes import FileLimits
from control.retention.files import delete_files_of_messages
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierBusy, CarrierError
from hum.objects.files import Files
from storage import messages
from tests.control.conftest import FakeCarrier
from tests.control.texts.conftest import CONTACT, NUMBER, Texting

LIMITS = FileLimits(file_bytes=1000, message_bytes=2500, hours=24)
PICTURE = File("image/jpeg", b"\xff\xd8picture")
URL = "https://api.twilio.com/{}"


@dataclass
class Desk:
    texting: Texting
    carrier: FakeCarrier
    directory: Path

    async def text(self, *sent: File | None) -> UUID:
        """A text with these files; None: the carrier has it no more."""
        message = ids.new()
        for number, file in enumerate(sent):
            if file is not None:
                self.carrier.files[URL.format(number)] = file
        media = [(URL.format(number), "image/png") for number in range(len(sent))]
        async with self.texting.db.tenant(self.texting.org) as tx:
            thread = await self.texting.thread(tx)
            assert await messages.receive(
                tx, message, self.texting.org, thread.id, NUMBER, CONTACT, "", 1, f"MM{message.hex}", media
            )
        return message

    async def fetch(self, message: UUID, limits: FileLimits = LIMITS) -> int:
        run = partial(jobs.fetch, self.texting.db, self.carrier, Files(self.directory), limits)
        return await run(self.texting.org, message)

    async def kept(self, message: UUID) -> list[tuple[str, str, int | None]]:
        async with self.texting.db.tenant(self.texting.org) as tx:
            return [
                (each["status"], each["content_type"], each["size_bytes"])
                for each in (await messages.get(tx, message)).media
            ]

    def on_disk(self) -> list[str]:
        return sorted(path.name for path in self.directory.rglob("*") if path.is_file())


@pytest.fixture
def desk(texting: Texting, tmp_path: Path) -> Desk:
    return Desk(texting, FakeCarrier(), tmp_path / "recordings")


async def test_files_are_kept_as_the_carrier_says_what_they_are(desk: Desk) -> None:
    message = await desk.text(PICTURE, File("text/vcard; charset=utf-8", b"BEGIN:VCARD"))
    assert await desk.fetch(message) == 2
    assert await desk.kept(message) == [("stored", "image/jpeg", 9), ("stored", "text/vcard", 11)]
    path = desk.directory / files.path_of(desk.texting.org, message, 0)
    assert path.read_bytes() == PICTURE.content
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(desk.on_disk()) == 2
    desk.carrier.fail = AssertionError("nothing is fetched twice")
    assert await desk.fetch(message) == 0


async def test_bombs_are_refused_and_what_is_gone_is_lost(desk: Desk) -> None:
    bomb, page = File("image/png", b"x" * 1001), File("text/html", b"<script>")
    message = await desk.text(
        bomb, None, page, File("image/svg+xml", b"<svg/>"), File("", b"?"), File("image/png", b"")
    )
    assert await desk.fetch(message) == 0
    assert [status for status, _, _ in await desk.kept(message)] == ["refused", "lost", *["refused"] * 4]
    assert desk.on_disk() == []


async def test_ten_files_together_are_bounded(desk: Desk) -> None:
    message = await desk.text(*[File("image/png", b"x" * 900)] * 10)
    await desk.fetch(message)
    assert [status for status, _, _ in await desk.kept(message)] == ["stored"] * 2 + ["refused"] * 8


@pytest.mark.parametrize("error", [CarrierError("HTTP 503"), CarrierBusy(3)])
async def test_a_carrier_that_is_away_is_asked_again_and_the_bound_still_holds(desk: Desk, error: CarrierError) -> None:
    message = await desk.text(*[File("image/png", b"x" * 900)] * 3)
    fetch_media, away = desk.carrier.fetch_media, {URL.format(0)}

    async def flaky(url: str, account: str, most_bytes: int) -> File:
        if url in away:
            raise error
        return await fetch_media(url, account, most_bytes)

    desk.carrier.fetch_media = flaky  # type: ignore[method-assign]
    with pytest.raises(CarrierError):
        await desk.fetch(message)
    assert [status for status, _, _ in await desk.kept(message)] == ["fetching", "stored", "stored"]
    away.clear()
    assert await desk.fetch(message) == 0
    assert [status for status, _, _ in await desk.kept(message)] == ["refused", "stored", "stored"]


async def test_what_the_carrier_never_gives_is_lost_in_the_end(desk: Desk) -> None:
    message = await desk.text(PICTURE)
    desk.carrier.fail = CarrierError("away")
    with pytest.raises(CarrierError):
        await desk.fetch(message)
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        await tx.execute("UPDATE messages SET created_at = $1", now() - timedelta(hours=25))
    assert await desk.fetch(message) == 0
    assert await desk.kept(message) == [("lost", "image/png", None)]


async def test_a_message_that_is_deleted_meanwhile_leaves_no_file(desk: Desk) -> None:
    message = await desk.text(PICTURE)
    fetch_media = desk.carrier.fetch_media

    async def deleting(url: str, account: str, most_bytes: int) -> File:
        async with desk.texting.db.tenant(desk.texting.org) as tx:
            await tx.execute("DELETE FROM messages WHERE id = $1", message)
        return await fetch_media(url, account, most_bytes)

    desk.carrier.fetch_media = deleting  # type: ignore[method-assign]
    assert await desk.fetch(message) == 0
    assert desk.on_disk() == []


class Dies(BaseException):
    """The process ends here."""


class DyingFiles(Files):
    async def put(self, path: str, content: bytes) -> None:
        await super().put(path, content)
        raise Dies


async def dies_with_the_file_written(desk: Desk) -> UUID:
    message = await desk.text(PICTURE)
    with pytest.raises(Dies):
        await jobs.fetch(desk.texting.db, desk.carrier, DyingFiles(desk.directory), LIMITS, desk.texting.org, message)
    assert len(desk.on_disk()) == 1
    return message


async def test_a_file_whose_job_died_before_its_row_is_replaced(desk: Desk) -> None:
    message = await dies_with_the_file_written(desk)
    assert await desk.fetch(message) == 1
    assert await desk.kept(message) == [("stored", "image/jpeg", 9)] and len(desk.on_disk()) == 1


async def test_a_file_whose_job_died_goes_with_its_message(desk: Desk) -> None:
    message = await dies_with_the_file_written(desk)
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        await tx.execute("DELETE FROM messages WHERE id = $1", message)
    assert await desk.fetch(message) == 0
    await delete_files_of_messages(desk.texting.db, Files(desk.directory), 10)
    assert desk.on_disk() == []


async def test_a_file_whose_job_died_goes_when_the_carrier_has_it_no_more(desk: Desk) -> None:
    message = await dies_with_the_file_written(desk)
    desk.carrier.files.clear()
    assert await desk.fetch(message) == 0
    assert [status for status, _, _ in await desk.kept(message)] == ["lost"]
    await delete_files_of_messages(desk.texting.db, Files(desk.directory), 10)
    assert desk.on_disk() == []


async def test_a_url_that_is_not_the_carriers_is_refused(desk: Desk) -> None:
    message = await desk.text(PICTURE)

    async def refusing(url: str, account: str, most_bytes: int) -> File:
        raise MediaRefused("The file's URL is not one of the carrier's.")

    desk.carrier.fetch_media = refusing  # type: ignore[method-assign]
    await desk.fetch(message)
    assert [status for status, _, _ in await desk.kept(message)] == ["refused"]


@pytest.mark.parametrize(
    ("content_type", "kept"),
    [
        *((kind, True) for kind in ("image/heic", "audio/amr", "video/3gpp", "text/x-vcard", "application/pdf")),
        *((kind, False) for kind in ("", "image", "image/", "text/html", "application/zip", "image/svg+xml")),
        *(
            (kind, False)
            for kind in ("IMAGE/SVG+XML; x", "image/png\r\nX: y", "image/" + "x" * 200, "image/p\u00f6g", "a" * 10**7)
        ),
        ("IMAGE/PNG; name=x", True),
    ],
)
def test_kinds_worth_keeping(content_type: str, kept: bool) -> None:
    assert mediatypes.is_kept(mediatypes.plain_type(content_type)) is kept
