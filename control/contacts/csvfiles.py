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
from typing import NamedTuple, Self

from control.base import phone
from control.base.phone import NotANumber
from control.contacts import columns
from control.contacts.columns import BadColumns, SheetColumn
from hum.contract import validation
from hum.v1 import contacts_pb2 as pb

#: The longest header.  The request reads it, in a process that serves calls; a worker reads the rest of the file.
HEADER_BYTES = 10_000
COLUMN_CHARS = 100
MOST_IGNORED = 100
REASON_CHARS = 200
ATTRIBUTE_CHARS = 2000

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
    """An error in a row, or in one of its cells; or that an earlier row has its number."""

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
    #: Attributes that are added to the contact's others.
    attributes: dict[str, str] = field(default_factory=dict)
    #: The line of the first row with its number, and that of the latest.
    first_line: int = 0
    line: int = 0


class FailedRow(NamedTuple):
    """A row that is not imported, with its cells as they were."""

    line: int
    reason: str
    cells: list[str]


@dataclass(slots=True)
class SheetBatch:
    """The rows of one read: one entry per number, in file order."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    failures: list[FailedRow] = field(default_factory=list)
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


def failures(header: Sequence[str], rows: Iterable[FailedRow], *, has_header: bool) -> bytes:
    """Return rows that were not imported as CSV, escaped as in an export: line and reason, then their cells as they were."""
    head = [("line", "reason", *header)] if has_header else []
    return write([*head, *((str(row.line), row.reason, *row.cells) for row in rows)])


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

    def __init__(self, file: bytes, region: str | None, targets: Sequence[str] = (), date_order: str = "ymd") -> None:
        """Read the header of `file`, which is UTF-8; numbers without a country code belong to `region`.

        `targets`: what the columns become; by their titles, if there are none.  Raises BadColumns if they don't fit.
        """
        beginning = file[:HEADER_BYTES].removeprefix(BOM).decode(errors="ignore")
        delimiter = _delimiter(beginning)
        self.header = _header(beginning, delimiter, whole=len(file) <= HEADER_BYTES)
        self.targets = _targets(self.header, targets)
        self._columns, self._date_order = columns.of_header(self.header, self.targets), date_order
        text = io.TextIOWrapper(io.BytesIO(file.removeprefix(BOM)), encoding="utf-8", newline="")
        self._rows, self._region = _rows(text, delimiter), region
        self.skip(1)

    @property
    def ignored(self) -> list[str]:
        """The titles of columns that are left out."""
        places = zip(self.header, self.targets, strict=True)
        unknown = (title.strip() for title, target in places if target == columns.IGNORE)
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
                _refuse(batch, [cells], [])
            elif any(cell.strip() for cell in cells):
                self._add(batch, line, cells)
            else:
                continue
            batch.rows += 1
        return batch

    def _add(self, batch: SheetBatch, line: int, cells: list[str]) -> None:
        if len(cells) > len(self.header):
            problem = Problem(line, None, f"has {len(cells)} cells but the header has {len(self.header)}")
            _refuse(batch, [problem], cells)
            return
        titles = {column.target: column.title[:COLUMN_CHARS] for column in self._columns}
        present = [(column, cells[column.place]) for column in self._columns if column.place < len(cells)]
        fields = {column.target: _cell(column.target, cell) for column, cell in present if not column.attribute}
        number, problems = "", []
        try:
            number = phone.e164(fields.get("phone_e164", ""), self._region)
        except NotANumber as error:
            problems.append(Problem(line, titles["phone_e164"], str(error)))
        fields["name"] = columns.full_name(fields)
        if part := next((part for part in (*columns.NAME_PARTS, columns.LAST_FIRST) if part in titles), None):
            titles.setdefault("name", titles[part])
        contact = _contact({name: cell for name, cell in fields.items() if cell and name in columns.FIELDS[1:]})
        for complaint in validation.check(pb.UpdateContactRequest(contact=contact)):
            name = re.split(r"[.\[]", complaint.field.removeprefix("contact."), maxsplit=1)[0]
            problems.append(Problem(line, titles.get(name), complaint.reason[:REASON_CHARS]))
        attributes, bad = self._attributes(line, present)
        if problems := problems + bad:
            _refuse(batch, problems, cells)
        else:
            if (earlier := batch.entries.get(number)) is not None:
                batch.problems.append(repeated(line, titles["phone_e164"], earlier.line))
            _fold(batch, line, number, contact, attributes)

    def _attributes(
        self, line: int, present: Sequence[tuple[SheetColumn, str]]
    ) -> tuple[dict[str, str], list[Problem]]:
        """Return a row's attributes, and the errors in them."""
        attributes, problems = dict[str, str](), list[Problem]()
        for column, raw in present:
            cell = unescaped(raw.strip(SPACE))
            if not column.attribute or not cell:
                continue
            value = columns.iso_date(cell, self._date_order) if column.is_date else cell
            if value is None:
                reason = f"is no date as {columns.ORDERS[self._date_order]}"
                problems.append(Problem(line, column.title[:COLUMN_CHARS], reason))
            elif len(value) > ATTRIBUTE_CHARS:
                problems.append(
                    Problem(line, column.title[:COLUMN_CHARS], f"is longer than {ATTRIBUTE_CHARS} characters")
                )
            else:
                attributes[column.attribute] = value
        return attributes, problems


class _Lines:
    """The lines of a file, of which no row has more than `HEADER_BYTES` cells: `csv` makes objects of all cells of a row."""

    def __init__(self, text: Iterable[str], delimiter: str) -> None:
        self._lines, self._delimiter = iter(text), delimiter
        #: Those of the row that is being read.
        self.delimiters = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.delimiters += line.count(self._delimiter)
        if self.delimiters > HEADER_BYTES:
            raise csv.Error("it has too many cells")
        return line


def _rows(text: Iterable[str], delimiter: str) -> Iterator[tuple[int, "list[str] | Problem"]]:
    """Yield each row with the number of its first line."""
    lines = _Lines(text, delimiter)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line, lines.delimiters = reader.line_num + 1, 0
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


def _targets(header: list[str], wanted: Sequence[str]) -> list[str]:
    """Return what the columns become.  Raises BadSheet, BadColumns."""
    if wanted:
        targets = columns.chosen(header, wanted)
    else:
        try:
            targets = columns.guesses(header)
        except BadColumns as error:
            raise BadSheet(str(error)) from error
    if "phone_e164" not in targets:
        without = "has no column for the phone number; call it phone_e164 or phone"
        raise BadColumns("must name the column of the phone number") if wanted else BadSheet(without)
    return targets


def _cell(name: str, cell: str) -> str:
    if name == "phone_e164":
        return unescaped(cell.strip()).lstrip("'")
    return unescaped(cell if name == "notes" else cell.strip(SPACE))


def _contact(fields: Mapping[str, str]) -> pb.Contact:
    contact = pb.Contact(**{name: cell for name, cell in fields.items() if name != "tags"})  # type: ignore[arg-type]
    tags = (tag.strip(SPACE) for tag in re.split("[;,]", fields.get("tags", "")))
    contact.tags.extend(dict.fromkeys(tag for tag in tags if tag))
    return contact


def _refuse(batch: SheetBatch, problems: list[Problem], cells: list[str]) -> None:
    batch.bad_rows += 1
    batch.problems += problems
    reasons = (f"{problem.column}: {problem.reason}" if problem.column else problem.reason for problem in problems)
    batch.failures.append(FailedRow(problems[0].line, "; ".join(reasons), cells))


def repeated(line: int, column: str | None, earlier_line: int) -> Problem:
    """Return what is to say of a row with the number of an earlier one."""
    return Problem(line, column, f"has the number of line {earlier_line}; where both say something, this line counts")


def _fold(batch: SheetBatch, line: int, number: str, contact: pb.Contact, attributes: Mapping[str, str]) -> None:
    """Merge a row into its number's entry; a later value overwrites an earlier one."""
    batch.duplicates += number in batch.entries
    entry = batch.entries.setdefault(number, Entry(number, first_line=line))
    entry.line = line
    for name in ("name", "email", "company", "attributes_json"):
        if contact.HasField(name):
            entry.fields[name] = getattr(contact, name)
    if contact.HasField("notes"):
        entry.notes = contact.notes
    if contact.tags:
        entry.tags = list(contact.tags)
    entry.attributes.update(attributes)
