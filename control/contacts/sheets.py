"""Contacts as CSV, out and in.  Pure.

A file that is written opens in a spreadsheet without running anything: a cell that begins like a formula is prefixed
with an apostrophe, which reading removes.  A file that is read may come from anywhere: any of three delimiters, quoted
line ends, a byte order mark, phone numbers in any spelling.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from control.base import phone
from control.base.phone import NotANumber
from hum import validation
from hum.v1 import contacts_pb2 as pb

MOST_ROWS = 10_000
MOST_ERRORS = 10_000
COLUMN_CHARS = 100

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
BOM = "\ufeff"
#: What the contract's patterns treat as white space.
SPACE = " \t\n\f\r"
#: What makes a spreadsheet treat a cell as a formula; and the apostrophe itself, so that reading undoes writing.
RISKY = tuple("=+-@\t\r\n＝＋－＠'")


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
class Sheet:
    """A file that was read: one entry for each number, in the file's order."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    rows: int = 0
    bad_rows: int = 0
    duplicates: int = 0


# --- out ----------------------------------------------------------------------------------------------------------


def write(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV (RFC 4180) in UTF-8, each cell harmless."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(RISKY) else cell


def meant(cell: str) -> str:
    """The inverse of `harmless`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RISKY) else cell


# --- in -----------------------------------------------------------------------------------------------------------


def read(text: str, region: str | None) -> Sheet:
    """Read a file.  Numbers without a country code are of `region`.  Raises BadSheet."""
    rows = _rows(text.removeprefix(BOM))
    _, header = next(rows, (0, []))
    if isinstance(header, Problem):
        raise BadSheet(f"the header {header.reason}")
    sheet = Sheet()
    columns = _columns(header, sheet)
    for line, cells in rows:
        if isinstance(cells, Problem):
            _refuse(sheet, [cells])
        elif any(cell.strip() for cell in cells):
            _take(sheet, line, cells, header, columns, region)
        else:
            continue
        sheet.rows += 1
        if sheet.rows > MOST_ROWS:
            raise BadSheet(f"has more than {MOST_ROWS} rows; import it in parts")
    return sheet


def _rows(text: str) -> Iterator[tuple[int, "list[str] | Problem"]]:
    """Each row with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
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
    header = re.sub(r'"[^"]*"', "", text[:10_000].lstrip("\r\n").partition("\n")[0])
    return max(DELIMITERS, key=header.count)


def _columns(header: list[str], sheet: Sheet) -> dict[int, str]:
    """Which field each column is."""
    columns: dict[int, str] = {}
    for place, title in enumerate(header):
        name = NAMES.get(re.sub(r"[\s_.\-]+", " ", title.strip().lower()))
        if name is None:
            sheet.ignored += [title.strip()[:COLUMN_CHARS]] if title.strip() else []
        elif name in columns.values():
            raise BadSheet(f"has two columns for {name}")
        else:
            columns[place] = name
    if "phone_e164" not in columns.values():
        raise BadSheet("has no column for the phone number; call it phone_e164 or phone")
    return columns


def _take(
    sheet: Sheet, line: int, cells: list[str], header: list[str], columns: dict[int, str], region: str | None
) -> None:
    if len(cells) > len(header):
        _refuse(sheet, [Problem(line, None, f"has {len(cells)} cells but the header has {len(header)}")])
        return
    titles = {name: header[place].strip()[:COLUMN_CHARS] for place, name in columns.items()}
    fields = {name: _cell(name, cells[place]) for place, name in columns.items() if place < len(cells)}
    try:
        number = phone.e164(fields["phone_e164"], region)
    except NotANumber as error:
        problems = [Problem(line, titles["phone_e164"], str(error))]
    else:
        problems = []
    contact = _contact({name: cell for name, cell in fields.items() if cell and name != "phone_e164"})
    request = pb.UpdateContactRequest(contact=contact)
    for each in validation.check(request):
        name = each.field.removeprefix("contact.").partition("[")[0]
        problems.append(Problem(line, titles.get(name), each.reason[:200]))
    if problems:
        _refuse(sheet, problems)
    else:
        _fold(sheet, number, contact)


def _cell(name: str, cell: str) -> str:
    if name == "phone_e164":
        return meant(cell.strip()).lstrip("'")
    return meant(cell if name == "notes" else cell.strip(SPACE))


def _contact(fields: Mapping[str, str]) -> pb.Contact:
    contact = pb.Contact(**{name: cell for name, cell in fields.items() if name != "tags"})  # type: ignore[arg-type]
    tags = (tag.strip(SPACE) for tag in re.split("[;,]", fields.get("tags", "")))
    contact.tags.extend(dict.fromkeys(tag for tag in tags if tag))
    return contact


def _refuse(sheet: Sheet, problems: list[Problem]) -> None:
    sheet.bad_rows += 1
    sheet.problems += problems[: MOST_ERRORS - len(sheet.problems)]


def _fold(sheet: Sheet, number: str, contact: pb.Contact) -> None:
    """One entry for each number; the later of two values wins."""
    sheet.duplicates += number in sheet.entries
    entry = sheet.entries.setdefault(number, Entry(number))
    for name in ("name", "email", "company", "attributes_json"):
        if contact.HasField(name):
            entry.fields[name] = getattr(contact, name)
    if contact.HasField("notes"):
        entry.notes = contact.notes
    if contact.tags:
        entry.tags = list(contact.tags)
