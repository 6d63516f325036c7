"""Contacts as CSV: exports and imports.  Pure.

An exported file runs nothing in a spreadsheet, whichever delimiter the spreadsheet splits it by: each possible
beginning of a formula is escaped with an apostrophe, which importing removes.  An imported file may have any of three
delimiters, quoted line ends, a byte order mark, and phone numbers in any spelling.
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
from hum.contract import validation
from hum.v1 import contacts_pb2 as pb

#: The longest header.  The request reads it, in a process that serves calls; a worker reads the rest of the file.
HEADER_BYTES = 10_000
COLUMN_CHARS = 100
MOST_IGNORED = 100
REASON_CHARS = 200

FIELDS = ("phone_e164", "name", "email", "company", "notes", "tags", "attributes_json")
#: Accepted titles of our columns; compared in lower case, with spaces between words.
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
#: White space, as the contract's patterns define it.
SPACE = " \t\n\f\r"
#: What begins a formula in a spreadsheet; and the apostrophe itself, so that importing inverts exporting.
RISKY = "=+\\-@\t\r\n＝＋－＠'"
#: Where a cell may begin for a spreadsheet that splits by another delimiter, and so ignores our quotes.
BEGINNING = r"(?:(?<![\s\S])|(?<=[,;|\t\r\n]))"
TO_GUARD = re.compile(f'{BEGINNING}(?="*[{RISKY}])')
GUARDED = re.compile(f"{BEGINNING}'(?=\"*[{RISKY}])")


class BadSheet(ValueError):  # noqa: N818
    """The reason why a file as a whole can't be imported."""


class Problem(NamedTuple):
    """An error in a row, or in one of its cells."""

    line: int
    column: str | None
    reason: str


@dataclass(slots=True)
class Entry:
    """A row of a file; unset fields leave the contact's values unchanged."""

    phone_e164: str
    fields: dict[str, str] = field(default_factory=dict)
    notes: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SheetBatch:
    """The rows of one read: one entry per number, in file order."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Rows that are not empty.
    rows: int = 0
    bad_rows: int = 0
    duplicates: int = 0
    #: All rows, empty ones too: skip as many to resume after this batch.
    passed: int = 0


# --- export -------------------------------------------------------------------------------------------------------


def write(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV in UTF-8, with possible formulas escaped."""
    return plain([escaped(cell) for cell in row] for row in rows)


def plain(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV (RFC 4180) in UTF-8, unescaped, for programs."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def escaped(cell: str) -> str:
    """Escape a cell so that no part of it is a formula, whichever delimiter splits it."""
    return TO_GUARD.sub("'", cell)


def unescaped(cell: str) -> str:
    """Unescape a cell: the inverse of `escaped`."""
    return GUARDED.sub("", cell)


# --- import -------------------------------------------------------------------------------------------------------


class Sheet:
    """A file to import: the header is read at once, rows in consecutive batches.  Raises BadSheet."""

    def __init__(self, file: bytes, region: str | None) -> None:
        """Read the header of `file`, which is UTF-8; numbers without a country code belong to `region`."""
        beginning = file[:HEADER_BYTES].removeprefix(BOM).decode(errors="ignore")
        delimiter = _delimiter(beginning)
        self._header = _header(beginning, delimiter, whole=len(file) <= HEADER_BYTES)
        self._columns = _columns(self._header)
        text = io.TextIOWrapper(io.BytesIO(file.removeprefix(BOM)), encoding="utf-8", newline="")
        self._rows, self._region = _rows(text, delimiter), region
        self.skip(1)

    @property
    def ignored(self) -> list[str]:
        """The titles of columns that we don't know."""
        unknown = (title.strip() for place, title in enumerate(self._header) if place not in self._columns)
        return [title[:COLUMN_CHARS] for title in unknown if title][:MOST_IGNORED]

    def skip(self, rows: int) -> None:
        """Skip rows without checking them."""
        next(islice(self._rows, rows, rows), None)

    def batch(self, limit: int) -> SheetBatch:
        """Read up to `limit` rows; fewer at the end, and then none."""
        batch = SheetBatch()
        for line, cells in islice(self._rows, limit):
            batch.passed += 1
            if isinstance(cells, Problem):
                _refuse(batch, [cells])
            elif any(cell.strip() for cell in cells):
                self._add(batch, line, cells)
            else:
                continue
            batch.rows += 1
        return batch

    def _add(self, batch: SheetBatch, line: int, cells: list[str]) -> None:
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
        for complaint in validation.check(pb.UpdateContactRequest(contact=contact)):
            name = re.split(r"[.\[]", complaint.field.removeprefix("contact."), maxsplit=1)[0]
            problems.append(Problem(line, titles.get(name), complaint.reason[:REASON_CHARS]))
        if problems:
            _refuse(batch, problems)
        else:
            _fold(batch, number, contact)


def _rows(text: Iterable[str], delimiter: str) -> Iterator[tuple[int, "list[str] | Problem"]]:
    """Yield each row with the number of its first line."""
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
    """Return the most frequent delimiter in the header, outside quotes."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(DELIMITERS, key=header.count)


def _header(beginning: str, delimiter: str, *, whole: bool) -> list[str]:
    """Return the first row of a file.  Raises BadSheet if it is not CSV, or does not end within `beginning`."""
    rows = _rows(io.StringIO(beginning, newline=""), delimiter)
    _, header = next(rows, (0, []))
    if not whole and next(rows, None) is None:
        raise BadSheet(f"the header is longer than {HEADER_BYTES} bytes")
    if isinstance(header, Problem):
        raise BadSheet(f"the header {header.reason}")
    return header


def _columns(header: list[str]) -> dict[int, str]:
    """Map the columns that we know to fields, by position.  Raises BadSheet."""
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
        return unescaped(cell.strip()).lstrip("'")
    return unescaped(cell if name == "notes" else cell.strip(SPACE))


def _contact(fields: Mapping[str, str]) -> pb.Contact:
    contact = pb.Contact(**{name: cell for name, cell in fields.items() if name != "tags"})  # type: ignore[arg-type]
    tags = (tag.strip(SPACE) for tag in re.split("[;,]", fields.get("tags", "")))
    contact.tags.extend(dict.fromkeys(tag for tag in tags if tag))
    return contact


def _refuse(batch: SheetBatch, problems: list[Problem]) -> None:
    batch.bad_rows += 1
    batch.problems += problems


def _fold(batch: SheetBatch, number: str, contact: pb.Contact) -> None:
    """Merge a row into its number's entry; a later value overwrites an earlier one."""
    batch.duplicates += number in batch.entries
    entry = batch.entries.setdefault(number, Entry(number))
    for name in ("name", "email", "company", "attributes_json"):
        if contact.HasField(name):
            entry.fields[name] = getattr(contact, name)
    if contact.HasField("notes"):
        entry.notes = contact.notes
    if contact.tags:
        entry.tags = list(contact.tags)
