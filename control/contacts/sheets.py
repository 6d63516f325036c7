"""Contacts as CSV, out and in.  Pure.

A file that is written opens in a spreadsheet without running anything, whichever delimiter the spreadsheet splits it by:
whatever could begin a cell like a formula is prefixed with an apostrophe, which reading removes.  A file that is read may
come from anywhere: any of three delimiters, quoted line ends, a byte order mark, phone numbers in any spelling.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from control.base import phone
from control.base.phone import NotANumber
from hum import validation
from hum.v1 import contacts_pb2 as pb

#: The longest header.  It is read while the sender waits, beside calls; the rest of a file is read by a worker.
HEADER_BYTES = 10_000
COLUMN_CHARS = 100
MOST_IGNORED = 100
REASON_CHARS = 200

FIELDS = ("phone_e164", "name", "email", "company", "notes", "tags", "attributes_json")
#: Other names of our columns; compared in lower case, with spaces between words.
NAMES: Mapping[str, str] = {
    **{name.replace("_", " "): name for name in FIELDS},
    **dict.fromkeys(("phone", "phone number", "telephone", "tel", "mobile", "cell", "number"), "phone_e164"),
    **dict.fromkeys(("full name", "contact", "contact name", "display name"), "name"),
    **dict.fromkeys(("e mail", "email address", "e mail address"), "email"),
    **dict.fromkeys(("organization", "organisation", "company name"), "company"),
    **dict.fromkeys(("note", "comment", "comments"), "notes"),
    **dict.fromkeys(("tag", "labels"), "tags"),
    "attributes": "attributes_json",
}
DELIMITERS = (",", ";", "\t")
BOM = b"\xef\xbb\xbf"
#: What the contract's patterns treat as white space.
SPACE = " \t\n\f\r"
#: What makes a spreadsheet treat a cell as a formula; and the apostrophe itself, so that reading undoes writing.
RISKY = "=+\\-@\t\r\n＝＋－＠'"
#: Where a cell may begin for a spreadsheet that expects another delimiter than ours, and so does not see our quotes.
BEGINNING = r"(?:(?<![\s\S])|(?<=[,;|\t\r\n]))"
TO_GUARD = re.compile(f'{BEGINNING}(?="*[{RISKY}])')
GUARDED = re.compile(f"{BEGINNING}'(?=\"*[{RISKY}])")


class BadSheet(ValueError):  # noqa: N818
    """Why the file as a whole can't be imported."""


class Problem(NamedTuple):
    """What is wrong with a row, or with one of its cells."""

    line: int
    column: str | None
    reason: str


@dataclass(slots=True)
class Entry:
    """A row of a file; what is unset stays as it is."""

    phone_e164: str
    fields: dict[str, str] = field(default_factory=dict)
    notes: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Rows that were read: one entry for each number, in their order."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Rows with anything in them.
    rows: int = 0
    bad_rows: int = 0
    duplicates: int = 0
    #: Rows with those that are empty: as many are to be skipped to go on behind this batch.
    passed: int = 0


# --- out ----------------------------------------------------------------------------------------------------------


def write(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV in UTF-8, each cell harmless."""
    return plain([harmless(cell) for cell in row] for row in rows)


def plain(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV (RFC 4180) in UTF-8, for programs."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def harmless(cell: str) -> str:
    """A cell in which no part is a formula, whichever delimiter it is taken apart by."""
    return TO_GUARD.sub("'", cell)


def meant(cell: str) -> str:
    """The inverse of `harmless`."""
    return GUARDED.sub("", cell)


# --- in -----------------------------------------------------------------------------------------------------------


class Sheet:
    """A file: its header is read at once, its rows in batches, each where the last one ended.  Raises BadSheet."""

    def __init__(self, file: bytes, region: str | None) -> None:
        """`file` is UTF-8; numbers in it without a country code are of `region`."""
        beginning = file[:HEADER_BYTES].removeprefix(BOM).decode(errors="ignore")
        delimiter = _delimiter(beginning)
        self._header = _header(beginning, delimiter, whole=len(file) <= HEADER_BYTES)
        self._columns = _columns(self._header)
        text = io.TextIOWrapper(io.BytesIO(file.removeprefix(BOM)), encoding="utf-8", newline="")
        self._rows, self._region = _rows(text, delimiter), region
        self.skip(1)

    @property
    def ignored(self) -> list[str]:
        """The columns that mean nothing to us."""
        unknown = (title.strip() for place, title in enumerate(self._header) if place not in self._columns)
        return [title[:COLUMN_CHARS] for title in unknown if title][:MOST_IGNORED]

    def skip(self, rows: int) -> None:
        """Pass over so many rows without looking at them."""
        next(islice(self._rows, rows, rows), None)

    def batch(self, most: int) -> Batch:
        """The next rows, `most` of them; fewer at the end, and then none."""
        batch = Batch()
        for line, cells in islice(self._rows, most):
            batch.passed += 1
            if isinstance(cells, Problem):
                _refuse(batch, [cells])
            elif any(cell.strip() for cell in cells):
                self._take(batch, line, cells)
            else:
                continue
            batch.rows += 1
        return batch

    def _take(self, batch: Batch, line: int, cells: list[str]) -> None:
        if len(cells) > len(self._header):
            _refuse(batch, [Problem(line, None, f"has {len(cells)} cells but the header has {len(self._header)}")])
            return
        titles = {name: self._header[place].strip()[:COLUMN_CHARS] for place, name in self._columns.items()}
        fields = {name: _cell(name, cells[place]) for place, name in self._columns.items() if place < len(cells)}
        number, problems = "", []
        try:
            number = phone.e164(fields.get("phone_e164", ""), self._region)
        except NotANumber as error:
            problems.append(Problem(line, titles["phone_e164"], str(error)))
        contact = _contact({name: cell for name, cell in fields.items() if cell and name != "phone_e164"})
        for each in validation.check(pb.UpdateContactRequest(contact=contact)):
            name = re.split(r"[.\[]", each.field.removeprefix("contact."), maxsplit=1)[0]
            problems.append(Problem(line, titles.get(name), each.reason[:REASON_CHARS]))
        if problems:
            _refuse(batch, problems)
        else:
            _fold(batch, number, contact)


def _rows(text: Iterable[str], delimiter: str) -> Iterator[tuple[int, "list[str] | Problem"]]:
    """Each row with the line on which it begins."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, Problem(line, None, f"is not CSV: {error}")


def _delimiter(text: str) -> str:
    """The most frequent one in the header, outside quotes."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(DELIMITERS, key=header.count)


def _header(beginning: str, delimiter: str, *, whole: bool) -> list[str]:
    """The first row of a file.  Raises BadSheet if it is not CSV, or does not end within the file's beginning."""
    rows = _rows(io.StringIO(beginning, newline=""), delimiter)
    _, header = next(rows, (0, []))
    if not whole and next(rows, None) is None:
        raise BadSheet(f"the header is longer than {HEADER_BYTES} bytes")
    if isinstance(header, Problem):
        raise BadSheet(f"the header {header.reason}")
    return header


def _columns(header: list[str]) -> dict[int, str]:
    """Which field each column is.  Raises BadSheet."""
    columns: dict[int, str] = {}
    for place, title in enumerate(header):
        name = NAMES.get(re.sub(r"[\s_.\-]+", " ", title.strip().lower()))
        if name is not None and name in columns.values():
            raise BadSheet(f"has two columns for {name}")
        if name is not None:
            columns[place] = name
    if "phone_e164" not in columns.values():
        raise BadSheet("has no column for the phone number; call it phone_e164 or phone")
    return columns


def _cell(name: str, cell: str) -> str:
    if name == "phone_e164":
        return meant(cell.strip()).lstrip("'")
    return meant(cell if name == "notes" else cell.strip(SPACE))


def _contact(fields: Mapping[str, str]) -> pb.Contact:
    contact = pb.Contact(**{name: cell for name, cell in fields.items() if name != "tags"})  # type: ignore[arg-type]
    tags = (tag.strip(SPACE) for tag in re.split("[;,]", fields.get("tags", "")))
    contact.tags.extend(dict.fromkeys(tag for tag in tags if tag))
    return contact


def _refuse(batch: Batch, problems: list[Problem]) -> None:
    batch.bad_rows += 1
    batch.problems += problems


def _fold(batch: Batch, number: str, contact: pb.Contact) -> None:
    """One entry for each number; the later of two values wins."""
    batch.duplicates += number in batch.entries
    entry = batch.entries.setdefault(number, Entry(number))
    for name in ("name", "email", "company", "attributes_json"):
        if contact.HasField(name):
            entry.fields[name] = getattr(contact, name)
    if contact.HasField("notes"):
        entry.notes = contact.notes
    if contact.tags:
        entry.tags = list(contact.tags)
