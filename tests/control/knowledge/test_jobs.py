"""Converting: once, whatever dies or overtakes; fetching again; vectors."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from control.clients.openai import ModelError
from control.knowledge import converting, formats, passages, usecases
from hum.contract.errors import NotFound
from storage import events, jobs, knowledge
from storage.knowledge import DocumentContent
from tests.control.knowledge.conftest import House, StandIn
from tests.support.httpserver import Handler, answering

OLD, NEW = "# Hours\nWe open at nine.", "# Hours\nWe open at ten.\n# Sundays\nClosed."


async def told(house: House) -> list[str]:
    async with house.db.tenant(house.mine) as tx:
        found = await events.page(tx, ("0", 0), ["knowledge.ready", "knowledge.failed"], 50)
    return [each.type for each in found]


async def queued(house: House, kind: str) -> int:
    async with house.db.tenant(house.mine) as tx:
        return await jobs.active(tx, kind, house.mine)


async def test_a_conversion_is_stored_once_however_often_it_runs(house: House) -> None:
    id = await house.add(house.mine, "Hours", OLD)
    conversions = house.conversions(embedder=house.embedder)
    await asyncio.gather(*(conversions.convert(house.mine, id) for _ in range(3)))
    row = await house.row(house.mine, id)
    assert (row.status, row.passages, row.format, row.content_bytes) == ("ready", 1, "markdown", len(OLD))
    assert await told(house) == ["knowledge.ready"] and await queued(house, "embed_knowledge") == 1
    async with house.db.tenant(house.mine) as tx:
        assert await knowledge.content(tx, id) is None, "what was sent is not kept"
    await conversions.convert(house.mine, id)
    await conversions.convert(house.mine, house.yours)  # deleted meanwhile
    assert await told(house) == ["knowledge.ready"]


async def test_newer_content_overtakes_a_conversion(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await house.add(house.mine, "Hours", OLD)
    conversions = house.conversions()
    made = conversions._convert

    async def overtaken(row: knowledge.DocumentRow, content: DocumentContent | None) -> knowledge.Conversion:
        found = await made(row, content)
        async with house.db.tenant(house.mine) as tx:
            before = await knowledge.get(tx, id, lock=True)
            await knowledge.request(tx, before, DocumentContent("markdown", NEW.encode()))
        return found

    monkeypatch.setattr(conversions, "_convert", overtaken)
    await conversions.convert(house.mine, id)
    assert ((await house.row(house.mine, id)).status, await told(house)) == ("pending", [])
    await house.conversions().convert(house.mine, id)
    assert [each.row.text for each in (await house.find("open", [id])).hits] == ["We open at ten."]


async def test_a_document_is_found_as_it_was_named_while_it_was_converted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await house.add(house.mine, "Hours", "# Läden\nDie Läden schließen abends.")
    conversions = house.conversions()
    made = conversions._convert

    async def renamed(row: knowledge.DocumentRow, content: DocumentContent | None) -> knowledge.Conversion:
        found = await made(row, content)
        async with house.db.tenant(house.mine) as tx:
            before = await knowledge.get(tx, id, lock=True)
            after = usecases.with_changes(before, name="Öffnungszeiten", language="de", refetch_hours=0)
            await knowledge.change(tx, before, after)
        return found

    monkeypatch.setattr(conversions, "_convert", renamed)
    await conversions.convert(house.mine, id)
    for question in ("Wann schließt der Laden?", "Öffnungszeit"):
        assert len((await house.find(question, [id])).hits) == 1, question


async def test_a_failure_leaves_the_old_passages(house: House) -> None:
    id = await house.ready(house.mine, "Hours", OLD)
    async with house.db.tenant(house.mine) as tx:
        await knowledge.request(tx, await knowledge.get(tx, id, lock=True), DocumentContent("pdf", b"%PDF-junk"))
    assert (await house.find("open", [id])).hits, "while it is pending too"
    await house.conversions().convert(house.mine, id)
    row = await house.row(house.mine, id)
    assert (row.status, row.failure, row.passages) == ("failed", "The PDF is damaged.", 1)
    assert (await house.find("open", [id])).hits and await told(house) == ["knowledge.ready", "knowledge.failed"]


async def test_an_organization_has_no_more_passages_than_it_may(house: House) -> None:
    first = await house.ready(house.mine, "Hours", NEW)
    id = await house.add(house.mine, "More", OLD)
    await house.conversions(knowledge_passages=2).convert(house.mine, id)
    row = await house.row(house.mine, id)
    assert (row.status, row.passages) == ("failed", 0) and "more than 2 passages" in (row.failure or "")
    assert (await house.row(house.mine, first)).passages == 2


async def test_a_page_is_fetched_again_and_made_anew_only_if_it_changed(house: House) -> None:
    pages = [OLD, OLD, NEW]

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=pages.pop(0), content_type="text/markdown")

    async with answering(page) as url:
        id = await house.add(house.mine, "Page", url=url)
        conversions = house.conversions()
        for passages, ready in ((1, 1), (1, 1), (2, 2)):
            await conversions.convert(house.mine, id)
            row = await house.row(house.mine, id)
            assert (row.status, row.passages, len(await told(house))) == ("ready", passages, ready)
            assert row.next_fetch_at is not None and row.converted_at is not None
            assert row.next_fetch_at - row.converted_at == timedelta(hours=1)
            async with house.db.system() as tx:
                assert await knowledge.claim_due(tx, 10) == []
                await tx.execute("UPDATE knowledge_documents SET next_fetch_at = now()")
            before = await queued(house, "convert_knowledge")
            await asyncio.gather(conversions.enqueue_due_documents(), conversions.enqueue_due_documents())
            assert await queued(house, "convert_knowledge") == min(before + 1, formats.CONVERT.per_organization)
            assert (await house.row(house.mine, id)).status == "pending"


async def test_a_page_may_be_as_large_as_any_document(house: House) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="Open from nine to five. " * (1 << 15), content_type="text/plain")

    async with answering(page) as url:
        id = await house.add(house.mine, "Page", url=url)
        await house.conversions().convert(house.mine, id)
    assert (await house.row(house.mine, id)).status == "ready"


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65536)


async def trickling(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x")
        await asyncio.sleep(0.05)


async def redirecting(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://169.254.169.254/")


async def missing(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def empty(_: web.Request) -> web.StreamResponse:
    return web.Response(text=" ")


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (endless, "larger than"),
        (trickling, "in time"),
        (redirecting, "answered 302; redirects are not followed"),
        (missing, "answered 404"),
        (empty, "is empty"),
    ],
)
async def test_a_server_that_misbehaves_is_a_clean_failure(house: House, handler: Handler, why: str) -> None:
    async with answering(handler) as url:
        id = await house.add(house.mine, "Page", url=url)
        await house.conversions(knowledge_fetch_seconds=1.0, knowledge_bytes=1 << 20).convert(house.mine, id)
    row = await house.row(house.mine, id)
    assert row.status == "failed" and why in (row.failure or "") and row.next_fetch_at is not None


async def test_what_no_worker_finishes_has_failed(house: House) -> None:
    id = await house.add(house.mine, "Hours", OLD)
    await house.conversions().enqueue_due_documents()
    assert (await house.row(house.mine, id)).status == "pending"
    await house.conversions(knowledge_stuck_seconds=0).enqueue_due_documents()
    assert (await house.row(house.mine, id)).failure == "No worker finished its conversion."
    assert await told(house) == ["knowledge.failed"]
    async with house.db.tenant(house.mine) as tx:
        assert await knowledge.content(tx, id) is None


async def test_a_page_that_no_worker_converted_is_fetched_again(house: House) -> None:
    page, text = await house.add(house.mine, "Page", url="http://127.0.0.1:9/"), await house.add(house.mine, "T", OLD)
    await house.conversions(knowledge_stuck_seconds=0).enqueue_due_documents()
    row = await house.row(house.mine, page)
    assert row.status == "failed" and row.next_fetch_at is not None
    assert row.next_fetch_at - row.updated_at >= timedelta(hours=1)
    assert (await house.row(house.mine, text)).next_fetch_at is None
    async with house.db.system() as tx:
        await tx.execute("UPDATE knowledge_documents SET next_fetch_at = now() WHERE id = $1", page)
    before = await queued(house, "convert_knowledge")
    await house.conversions().enqueue_due_documents()
    assert (await house.row(house.mine, page)).status == "pending"
    assert await queued(house, "convert_knowledge") == before + 1


async def test_a_page_is_what_its_server_says_each_time_unless_somebody_named_it(house: House) -> None:
    pages = [("text/html", "<p>One <b>two</b>"), ("text/plain", "<p>One"), ("text/plain", "<p>One <b>two</b>")]

    async def page(_: web.Request) -> web.Response:
        media_type, text = pages.pop(0)
        return web.Response(text=text, content_type=media_type)

    async with answering(page) as url:
        id = await house.add(house.mine, "Page", url=url)
        for expected in ("html", "text"):
            await house.conversions().convert(house.mine, id)
            assert (await house.row(house.mine, id)).format == expected
            async with house.db.tenant(house.mine) as tx:
                await knowledge.request(tx, await knowledge.get(tx, id, lock=True), None)
                await tx.execute("UPDATE knowledge_documents SET named_format = 'html' WHERE $1", expected == "text")
        await house.conversions().convert(house.mine, id)
        assert (await house.row(house.mine, id)).format == "html"


async def test_half_characters_are_stored_as_something(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    found = converting._read(b'{"blocks": [[1, "A\\ud800"], [0, "B\\udfff\\u0000"]]}')

    async def blocks(*_: object) -> list[passages.Block]:
        return found

    id, conversions = await house.add(house.mine, "Odd", OLD), house.conversions()
    monkeypatch.setattr(converting.Converter, "blocks", blocks)
    await conversions.convert(house.mine, id)
    async with house.db.tenant(house.mine) as tx:
        (passage,) = await knowledge.passages(tx, id, 0, 10)
    assert (passage.heading, passage.text) == ("A?", "B?\ufffd")


async def test_embeddings_that_failed_or_are_another_models_are_made_again(house: House) -> None:
    id = await house.ready(house.mine, "Hours", NEW)
    conversions = house.conversions(embedder=house.embedder)
    house.embedder.fails = True
    with pytest.raises(ModelError):
        await conversions.embed(house.mine, id)
    assert (await house.row(house.mine, id)).embedded_by is None
    house.embedder.fails = False
    await conversions.embed(house.mine, id)
    assert (await house.row(house.mine, id)).embedded_by == "stand-in/256"
    async with house.db.tenant(house.mine) as tx:
        used = await tx.fetchrow(
            "SELECT item, sum(quantity) AS sum FROM usage_entries WHERE meter = 'text_tokens_in' GROUP BY 1"
        )
    assert used is not None and (used["item"], used["sum"]) == ("stand-in", 20)
    asked = len(house.embedder.asked)
    await conversions.embed(house.mine, id)
    assert len(house.embedder.asked) == asked, "it has them already"

    async with house.db.system() as tx:
        await tx.execute("UPDATE knowledge_documents SET embed_at = now()")
    before = await queued(house, "embed_knowledge")
    await conversions.enqueue_due_documents()
    assert await queued(house, "embed_knowledge") == before, "nothing is missing"
    newer = StandIn(name="newer/256")
    async with house.db.system() as tx:
        await tx.execute("DELETE FROM pgqueuer")
    await house.conversions(embedder=newer).enqueue_due_documents()
    await house.conversions(embedder=newer).enqueue_due_documents()
    assert await queued(house, "embed_knowledge") == 1
    await house.conversions(embedder=newer).embed(house.mine, id)
    assert (await house.row(house.mine, id)).embedded_by == "newer/256"


async def test_vectors_of_passages_that_are_gone_are_not_stored(house: House) -> None:
    id = await house.ready(house.mine, "Hours", OLD)

    class Overtaken(StandIn):
        async def embed(self, texts: Any, seconds: Any) -> Any:
            async with house.db.tenant(house.mine) as tx:
                await knowledge.request(
                    tx, await knowledge.get(tx, id, lock=True), DocumentContent("markdown", NEW.encode())
                )
            await house.conversions().convert(house.mine, id)
            return await super().embed(texts, seconds)

    await house.conversions(embedder=Overtaken()).embed(house.mine, id)
    row = await house.row(house.mine, id)
    assert (row.passages, row.embedded_by) == (2, None)
    async with house.db.tenant(house.mine) as tx:
        await knowledge.delete(tx, id)
    await house.conversions(embedder=house.embedder).embed(house.mine, id)
    with pytest.raises(NotFound):
        await house.row(house.mine, id)
