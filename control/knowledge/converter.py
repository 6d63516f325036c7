"""The program that reads one document: bytes in, headings and paragraphs out.

It runs as a process of its own, as `python -I converter.py`, with the limits in its arguments and an empty environment,
because documents are untrusted: one that makes a parser hang or fill the memory ends this process and no other.  It
imports nothing of ours.  Its output is one line of JSON: {"blocks": [[level, text], ...]} or {"failure": "..."}.
"""

import csv
import io
import json
import os
import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

#: The most bytes that a compressed file may unpack to.
UNPACKED_BYTES = 64 << 20
#: Headings and paragraphs of a document: whoever reads the answer needs 240 bytes for each, besides its text.
MOST_BLOCKS = 100_000
BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
        "br",
        "option",
    ]
)
#: Elements without text for readers, or repeated on every page of a site.
SKIPPED = frozenset(
    ["script", "style", "template", "noscript", "head", "svg", "iframe", "nav", "object", "canvas", "select", "button"]
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
#: The text after a table's cell.
CELL = " | "
TOO_LARGE = b'{"failure": "Converting the document takes too much memory."}'
TOO_DEEP = b'{"failure": "The document is nested too deeply."}'
#: Word's title styles, besides the headings that mammoth knows.
STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh"

Blocks = Iterator[tuple[int, str]]


class Unreadable(Exception):  # noqa: N818 - names the document's state
    """A document can't be converted; the message is for its sender."""


def text(body: bytes) -> str:
    """Decode text of an undeclared encoding."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def of_text(body: bytes) -> Blocks:
    for paragraph in re.split(r"\n\s*\n", text(body).replace("\r\n", "\n")):
        yield 0, paragraph


def of_markdown(body: bytes) -> Blocks:
    from markdown_it import MarkdownIt

    without_front_matter = re.sub(r"\A---\n.*?\n---\n", "", text(body).replace("\r\n", "\n"), count=1, flags=re.DOTALL)
    return of_html_text(MarkdownIt("commonmark").enable("table").render(without_front_matter))


def of_html(body: bytes) -> Blocks:
    charset = CHARSET.search(body[:2048])
    if charset is not None and not body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return of_html_text(body.decode(charset[1].decode(), errors="replace"))
        except LookupError:
            pass
    return of_html_text(text(body))


def of_html_text(html: str) -> Blocks:
    from selectolax.lexbor import LexborHTMLParser

    root = LexborHTMLParser(html).body
    if root is None:
        return
    buffer, level, preformatted = list[str](), 0, 0
    for node, is_entered in walk(root):
        tag = node.tag or ""
        if tag == "-text":
            words = node.text_content or ""
            buffer.append(words if preformatted else re.sub(r"\s+", " ", words))
            continue
        preformatted += (1 if is_entered else -1) * (tag == "pre")
        if tag in HEADINGS:
            yield level, "".join(buffer)
            buffer, level = [], HEADINGS[tag] if is_entered else 0
        elif tag in BLOCKS and not level:
            yield 0, "".join(buffer).removesuffix(CELL)
            buffer = ["- "] if tag == "li" and is_entered else []
        elif tag in {"td", "th"} and not is_entered:
            buffer.append(CELL)
        elif tag in BLOCKS:
            buffer.append(" ")
    yield level, "".join(buffer)


def walk(root: "LexborNode") -> "Iterator[tuple[LexborNode, bool]]":
    """Yield each node as it is entered and left, in order; without recursion, since pages may be nested deeply."""
    stack = [(root, True)]
    while stack:
        node, is_entered = stack.pop()
        if node.tag in SKIPPED:
            continue
        yield node, is_entered
        if is_entered and node.tag != "-text":
            stack.append((node, False))
            children, child = [], node.child
            while child is not None:
                children.append((child, True))
                child = child.next
            stack.extend(reversed(children))


def of_pdf(body: bytes, most_pages: int) -> Blocks:
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("The PDF is protected by a password.")
        if (pages := len(reader.pages)) > most_pages:
            raise Unreadable(f"The PDF has {pages} pages; at most {most_pages} are allowed.")
        pages_read = set[int]()
        for number, page in enumerate(reader.pages, 1):
            # A tree of pages may name one page any number of times.
            if page.indirect_reference is not None and page.indirect_reference.idnum in pages_read:
                continue
            pages_read.add(page.indirect_reference.idnum if page.indirect_reference is not None else 0)
            yield 1, f"Page {number}"
            words = re.sub(r"(\w)-\n(\w)", r"\1\2", page.extract_text())
            for paragraph in re.split(r"\n\s*\n", words):
                yield 0, paragraph
    except LimitReachedError as error:
        raise Unreadable("A part of the PDF unpacks to too much.") from error
    except PyPdfError as error:
        raise Unreadable("The PDF is damaged.") from error


def of_docx(body: bytes) -> Blocks:
    import mammoth

    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_BYTES:
                raise Unreadable(f"The document unpacks to more than {UNPACKED_BYTES >> 20} MiB.")
            if "word/document.xml" not in archive.namelist():
                raise Unreadable("The file is a ZIP archive, but no Word document.")
    except zipfile.BadZipFile as error:
        raise Unreadable("The Word document is damaged.") from error
    no_pictures = mammoth.images.img_element(lambda _: {"src": ""})
    result = mammoth.convert_to_html(
        io.BytesIO(body), convert_image=no_pictures, style_map=STYLES, external_file_access=False
    )
    return of_html_text(result.value)


def of_csv(body: bytes) -> Blocks:
    """Yield each row with its columns' names, so that a passage makes sense without the header."""
    lines = text(body)
    try:
        dialect: Any = csv.Sniffer().sniff(lines[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(lines, newline=""), dialect)
        names = [name.strip() for name in next(rows, [])]
        for row in rows:
            cells = [cell.strip() for cell in row]
            titles = [*names[: len(cells)], *[""] * (len(cells) - len(names))]
            yield 0, "; ".join(f"{n}: {c}" if n else c for n, c in zip(titles, cells, strict=True) if c)
    except csv.Error as error:
        raise Unreadable(f"The CSV can't be read: {error}.") from error


def blocks(body: bytes, form: str, most_pages: int, most_chars: int) -> list[tuple[int, str]]:
    """Read a document's blocks as (level, text); level 0 is a paragraph.  Raises Unreadable."""
    readers = {"text": of_text, "markdown": of_markdown, "html": of_html, "docx": of_docx, "csv": of_csv}
    result, chars = list[tuple[int, str]](), 0
    for level, block in of_pdf(body, most_pages) if form == "pdf" else readers[form](body):
        if not (bare := block.strip()):
            continue
        chars += len(bare)
        if chars > most_chars:
            raise Unreadable(f"The document has more than {most_chars} characters of text.")
        if len(result) == MOST_BLOCKS:
            raise Unreadable(f"The document has more than {MOST_BLOCKS} paragraphs, headings and rows.")
        result.append((level, bare))
    if not any(level == 0 for level, _ in result) and (form == "pdf" or not result):
        raise Unreadable("There is no text in the document; pictures of text are not read.")
    return result


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(kind, (value, value))


def main(form: str, memory_bytes: int, cpu_seconds: int, most_pages: int, most_chars: int) -> None:
    os.nice(10)  # calls come first
    limit(memory_bytes, cpu_seconds)
    try:
        line = json.dumps({"blocks": blocks(sys.stdin.buffer.read(), form, most_pages, most_chars)}).encode()
    except Unreadable as failure:
        line = json.dumps({"failure": str(failure)}).encode()
    except MemoryError:
        line = TOO_LARGE  # a constant: memory may be exhausted
    except RecursionError:
        line = TOO_DEEP
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    form, *numbers = sys.argv[1:]
    main(form, *map(int, numbers))
