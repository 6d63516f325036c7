"""TextUploads: stored with a row first, bounded, swept after a day, and owned by the text that sends them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from control.mms import jobs, mediatypes
from control.mms.ingress import TextFilesIngressServicer
from control.mms.usecases import StoredUpload, TextUploads, UploadLimits
from control.retention.files import delete_files_of_messages
from control.texts import usecases
from control.texts.usecases import TextRequest
from hum import ids
from hum.clock import now
from hum.contract.errors import InvalidRequest, InvalidState, NotFound, StoreUnavailable
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.objects.files import Files
from hum.v1 import runtime_pb2 as pb
from storage import identity, messages
from storage.messages import MessageRow
from tests.control.texts.conftest import CONTACT, Texting
from tests.control.texts.desk import LINKS, TextDesk

PNG = b"\x89PNG\r\n\x1a\npicture"
LIMITS = UploadLimits(own_files=3, files=5, bytes=100)
LINK = "https://hum.example/files/"


@dataclass
class Desk:
    texting: Texting
    directory: Path
    limits: UploadLimits = LIMITS

    @property
    def store(self) -> Files:
        return Files(self.directory)

    def principal(self, org: UUID | None = None) -> Principal:
        return Principal(org or self.texting.org, "operator", (), ids.new(), None, None, "key")

    async def upload(
        self, content: bytes = PNG, principal: Principal | None = None, store: Files | None = None
    ) -> StoredUpload:
        uploads = TextUploads(self.texting.db, store or self.store, self.limits)
        return await uploads.store(principal or self.principal(), content, "r")

    async def send(
        self, *uploads: UUID, org: UUID | None = None, body: str = "", urls: tuple[str, ...] = ()
    ) -> MessageRow:
        shown = tuple(ids.show(Kind.UPLOAD, upload) for upload in uploads)
        request = TextRequest(body, urls, None, None, False, shown)
        principal = self.principal(org)
        async with self.texting.db.tenant(principal.org_id) as tx:
            thread = await self.texting.thread(tx)
            return await usecases.send(tx, principal, thread.id, request)

    async def later(self, hours: float) -> None:
        async with self.texting.db.system() as tx:
            await tx.execute("UPDATE sms_uploads SET created_at = created_at - $1::interval", timedelta(hours=hours))

    async def sweep(self) -> int:
        swept = await jobs.sweep_uploads(self.texting.db)
        await delete_files_of_messages(self.texting.db, self.store, 10)
        return swept

    def on_disk(self) -> list[str]:
        return sorted(path.name for path in self.directory.rglob("*") if path.is_file())

    async def fetch(self, url: str) -> bytes:
        """What the carrier gets."""
        servicer = TextFilesIngressServicer(self.texting.db, self.store, LINKS)
        request = pb.GetTextFileRequest(token=url.removeprefix(LINK))
        return (await servicer.GetTextFile(request, None)).content  # type: ignore[arg-type]


@pytest.fixture
def desk(texting: Texting, tmp_path: Path) -> Desk:
    return Desk(texting, tmp_path / "recordings")


async def test_a_text_sends_its_uploads_and_the_carrier_gets_their_bytes(desk: Desk) -> None:
    first, second = await desk.upload(), await desk.upload(b"%PDF-1.7")
    message = await desk.send(second.id, first.id, body="Your forms")
    assert [(file["index"], file["status"], file["content_type"], file["size_bytes"]) for file in message.media] == [
        (0, "stored", "application/pdf", 8),
        (1, "stored", "image/png", len(PNG)),
    ]
    worker = TextDesk(desk.texting)
    await worker.send()
    (text,) = worker.carrier.texted.values()
    assert [await desk.fetch(url) for url in text.media_urls] == [b"%PDF-1.7", PNG]
    assert len(set(text.media_urls)) == 2 and all(url.startswith(LINK) for url in text.media_urls)


async def test_an_upload_is_sent_once(desk: Desk) -> None:
    upload = await desk.upload()
    await desk.send(upload.id)
    with pytest.raises(InvalidRequest, match=r"upload_ids\[0\]"):
        await desk.send(upload.id)
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        assert await tx.fetchval("SELECT count(*) FROM messages") == 1


async def test_another_organizations_upload_can_not_be_sent(desk: Desk) -> None:
    org = ids.new()
    async with desk.texting.db.system() as tx:
        await identity.create_organization(tx, org, "Other")
    theirs = await desk.upload(principal=desk.principal(org))
    with pytest.raises(InvalidRequest, match=r"upload_ids\[0\]"):
        await desk.send(theirs.id)
    assert len(desk.on_disk()) == 1


async def test_texts_with_too_much_send_nothing(desk: Desk) -> None:
    desk.limits = UploadLimits(own_files=30, files=30, bytes=100_000_000)
    half = PNG.ljust(mediatypes.SENT_BYTES // 2 + 1, b"\0")
    large = [await desk.upload(half) for _ in range(2)]
    with pytest.raises(InvalidRequest, match="5 MB together"):
        await desk.send(*(upload.id for upload in large))
    small = [await desk.upload() for _ in range(2)]
    with pytest.raises(InvalidRequest, match="too many"):
        await desk.send(*(upload.id for upload in small), urls=("https://files.example/a.png",) * 9)
    whole = await desk.upload(PNG.ljust(mediatypes.SENT_BYTES, b"\0"))
    with pytest.raises(InvalidRequest, match="together with the text"):
        await desk.send(whole.id, body="x")
    await desk.send(whole.id)


async def test_pending_uploads_are_bounded(desk: Desk) -> None:
    ann, bob = desk.principal(), desk.principal()
    uploads = [await desk.upload(principal=ann) for _ in range(3)]
    with pytest.raises(InvalidState, match="3 of your files"):
        await desk.upload(principal=ann)
    await desk.upload(principal=bob)
    with pytest.raises(InvalidState, match="organization"):
        await desk.upload(PNG.ljust(60, b"\0"), principal=bob)
    await desk.send(uploads[0].id)
    await desk.upload(principal=ann)
    assert len(desk.on_disk()) == 5


async def test_what_no_text_has_sent_is_swept_after_a_day(desk: Desk) -> None:
    left, sent = await desk.upload(), await desk.upload()
    message = await desk.send(sent.id)
    await desk.later(23)
    assert await desk.sweep() == 0
    await desk.later(2)
    with pytest.raises(InvalidRequest, match=r"upload_ids\[0\]"):
        await desk.send(left.id)
    assert await desk.sweep() == 2
    assert desk.on_disk() == [ids.show(Kind.UPLOAD, sent.id)], "the text's file stays"
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        assert [file["status"] for file in (await messages.get(tx, message.id)).media] == ["stored"]


async def test_a_file_goes_with_its_text(desk: Desk) -> None:
    upload = await desk.upload()
    message = await desk.send(upload.id)
    url = LINKS.make(message.id, 0, now())
    assert await desk.fetch(url) == PNG
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        await tx.execute("DELETE FROM messages WHERE id = $1", message.id)
    with pytest.raises(NotFound):
        await desk.fetch(url)
    await delete_files_of_messages(desk.texting.db, desk.store, 10)
    assert desk.on_disk() == []


async def test_a_link_opens_no_file_that_a_contact_sent(desk: Desk) -> None:
    message = ids.new()
    async with desk.texting.db.tenant(desk.texting.org) as tx:
        thread = await desk.texting.thread(tx)
        await messages.receive(
            tx,
            message,
            desk.texting.org,
            thread.id,
            "+12125550100",
            CONTACT,
            "",
            1,
            "MM1",
            [("https://x.example", "image/png")],
        )
        await tx.execute("UPDATE message_media SET status = 'stored', path = 'p', content_type = 'image/png'")
    for index in (0, 1):
        with pytest.raises(NotFound):
            await desk.fetch(LINKS.make(message, index, now()))


class Dies(BaseException):
    """The process ends here."""


class DyingFiles(Files):
    async def put(self, path: str, content: bytes) -> None:
        await super().put(path, content)
        raise Dies


class FailingFiles(Files):
    async def put(self, path: str, content: bytes) -> None:
        raise StoreUnavailable


async def test_a_process_that_dies_leaves_nothing_behind_and_nothing_to_send(desk: Desk) -> None:
    with pytest.raises(Dies):
        await desk.upload(store=DyingFiles(desk.directory))
    async with desk.texting.db.system() as tx:
        (row,) = await tx.fetch("SELECT id FROM sms_uploads")
    with pytest.raises(InvalidRequest):
        await desk.send(row["id"])
    await desk.later(25)
    assert await desk.sweep() == 1
    assert desk.on_disk() == []


async def test_a_store_that_fails_leaves_no_row(desk: Desk) -> None:
    with pytest.raises(StoreUnavailable):
        await desk.upload(store=FailingFiles(desk.directory))
    async with desk.texting.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM sms_uploads") == 0


async def test_a_worker_that_dies_after_the_carrier_was_asked_sends_a_text_with_a_file_once(desk: Desk) -> None:
    upload = await desk.upload()
    await desk.send(upload.id)
    worker = TextDesk(desk.texting)
    worker.carrier.lose_texts = [Dies()]
    with pytest.raises(Dies):
        claim = await worker.claim()
        for claimed in claim.attempts:
            await worker.poster().send(claimed)
    await TextDesk(desk.texting, carrier=worker.carrier).send()
    assert len(worker.carrier.texted) == 1


async def test_hostile_bytes_are_refused_and_nothing_is_stored(desk: Desk) -> None:
    for content in (b"", b"<html>", b"<svg/>", b"PK\x03\x04", PNG.ljust(mediatypes.SENT_BYTES + 1, b"\0")):
        with pytest.raises(InvalidRequest, match="content"):
            await desk.upload(content)
    assert not desk.directory.exists()
