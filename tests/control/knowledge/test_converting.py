"""Documents of every format as headings and paragraphs; and those that are made to hurt, which hurt nobody."""

import io
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, NumberObject

from control.knowledge.converter import Unreadable
from control.knowledge.converting import Converter
from control.knowledge.passages import Block
from hum.settings.knowledge import KnowledgeSettings
from tests.control.knowledge.documents import document, docx, packed, pdf

MIB = 1 << 20


async def blocks(body: bytes, form: str, **limits: float) -> list[tuple[int, str]]:
    found = await Converter(KnowledgeSettings(**limits)).blocks(body, form)  # type: ignore[arg-type]
    assert all(isinstance(each, Block) for each in found)
    return [(each.level, each.text) for each in found]


async def failure(body: bytes, form: str, **limits: float) -> str:
    with pytest.raises(Unreadable) as error:
        await blocks(body, form, **limits)
    return str(error.value)


HTML = (
    b'<html><head><meta charset="iso-8859-1"><title>T</title><style>p {}</style></head><body><nav>Home</nav><h1>Caf\xe9</h1>'
    b"<p>We   open\nat <b>nine</b>.</p>Tail<ul><li>one<li>two</ul><table><tr><th>Tea</th><td>2</td></tr></table>"
    b"<script>steal()</script></body></html>"
)


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        ("text", "Grüße\r\n\r\nZwei".encode(), [(0, "Grüße"), (0, "Zwei")]),
        ("text", "Grüße".encode("cp1252"), [(0, "Grüße")]),
        ("text", "Grüße".encode("utf-16"), [(0, "Grüße")]),
        (
            "markdown",
            b"---\ntitle: x\n---\n# A\n\nb **c** <i>d</i>\n\n## E\n- f",
            [(1, "A"), (0, "b c d"), (2, "E"), (0, "- f")],
        ),
        ("html", HTML, [(1, "Café"), (0, "We open at nine."), (0, "Tail"), (0, "- one"), (0, "- two"), (0, "Tea | 2")]),
        ("csv", b"name;price\nTea;2\nCoffee;\n", [(0, "name: Tea; price: 2"), (0, "name: Coffee")]),
        ("csv", b'"a, b",c\n"1, 2",3,4\n', [(0, "a, b: 1, 2; c: 3; 4")]),
        ("docx", docx((1, "Returns"), (0, "Thirty days.")), [(1, "Returns"), (0, "Thirty days.")]),
        ("pdf", pdf("One", "Two"), [(1, "Page 1"), (0, "One"), (1, "Page 2"), (0, "Two")]),
    ],
)
async def test_documents(form: str, body: bytes, expected: list[tuple[int, str]]) -> None:
    assert await blocks(body, form) == expected


def protected() -> bytes:
    writer, file = PdfWriter(PdfReader(io.BytesIO(pdf("Secret")))), io.BytesIO()
    writer.encrypt("a password", algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "body", "limits", "words"),
    [
        ("pdf", b"%PDF-1.4 and then nothing", {}, "damaged"),
        ("pdf", pdf("x", "y", "z"), {"knowledge_pages": 2}, "3 pages; at most 2"),
        ("pdf", pdf(""), {}, "no text"),
        ("pdf", protected(), {}, "password"),
        ("docx", b"PK\x03\x04 junk", {}, "damaged"),
        ("docx", packed("<w:document"), {}, "can't be read"),
        ("text", b"x" * 2000, {"knowledge_chars": 1000}, "more than 1000 characters"),
        ("text", b"a\n\n" * 100_001, {}, "more than 100000 paragraphs"),
        ("html", b"<script>x</script>", {}, "no text"),
        ("csv", b"a,b\n" + b"x" * 200_000 + b",1", {}, "can't be read"),
    ],
)
async def test_what_can_not_be_converted_is_explained(
    form: str, body: bytes, limits: dict[str, float], words: str
) -> None:
    assert words in await failure(body, form, **limits)


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
) + "]>"  # fmt: skip


#: Each is small: a page of 300 MB of operators, a document of 1 300 000 paragraphs, one that unpacks to 80 MB, entities of entities,
#: and a page that is nested 300 000 deep.
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "operators": (
        "pdf",
        lambda: pdf("x", content=zlib.compress(b"BT (x) Tj ET " * (24 * MIB), 9)),
        "unpacks to too much",
    ),
    "paragraphs": ("docx", lambda: packed(document("<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 1_300_000)), ""),
    "unpacked": ("docx", lambda: packed(document("x" * (80 * MIB))), "unpacks to more than"),
    "entities": ("docx", lambda: docx((0, "&a9;"), doctype=LAUGHS), "can't be read"),
    "nested": ("html", lambda: b"<div>" * 300_000, "too long"),
}


@pytest.mark.strain
@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_a_clean_failure(bomb: str) -> None:
    form, made, words = BOMBS[bomb]
    body = made()
    assert len(body) < 2 * MIB
    why = await failure(body, form, knowledge_cpu_seconds=4, knowledge_memory_bytes=256 * MIB)
    assert words in why if words else "too long" in why or "memory" in why
    assert await blocks(b"Next.", "text") == [(0, "Next.")]


async def test_a_page_that_is_named_often_is_read_once() -> None:
    writer = PdfWriter(clone_from=io.BytesIO(pdf("One")))
    pages: Any = writer.root_object["/Pages"]
    pages["/Kids"].extend([pages["/Kids"][0]] * 99)
    pages[NameObject("/Count")] = NumberObject(100)
    written = io.BytesIO()
    writer.write(written)
    assert await blocks(written.getvalue(), "pdf") == [(1, "Page 1"), (0, "One")]


async def test_a_small_document_computes_for_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = list[list[str]]()

    def started(command: list[str], **_: Any) -> None:
        commands.append(command)
        raise OSError

    monkeypatch.setattr(subprocess, "Popen", started)
    for size in (1300, 100_000, 8 * MIB):
        with suppress(OSError):
            await blocks(b"x" * size, "text")
    assert [int(command[-3]) for command in commands] == [3, 13, 60]


async def test_a_conversion_ends_in_time_and_leaves_no_process() -> None:
    assert "too long" in await failure(b"<div>" * 300_000, "html", knowledge_convert_seconds=0.5)
    assert not any("converter.py" in command for command in commands_of_children())


def commands_of_children() -> Iterator[list[str]]:
    for each in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # another's, which has just ended
            yield each.cmdline()


async def test_the_program_sees_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen = list[dict[str, str]]()
    start = subprocess.Popen

    def spied(*command: object, **options: object) -> "subprocess.Popen[bytes]":
        seen.append(options["env"])  # type: ignore[arg-type]
        return start(*command, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", spied)
    assert await blocks(b"x", "text") == [(0, "x")]
    assert seen == [{}]
