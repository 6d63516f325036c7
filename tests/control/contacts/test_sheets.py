"""CSV in and out."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contacts import sheets
from control.contacts.sheets import BadSheet, Problem
from tests.control.contacts.test_phone import SPELLINGS

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["=1+1", "+x", "-x", "@x", "'", "''=", "\t=", "\r", "a;b", 'a"b', "a\nb", "＝1"]
)


def test_every_spelling_of_one_number_is_one_contact() -> None:
    text = sheets.write([("phone", "name"), *((spelling, f"Ann {n}") for n, spelling in enumerate(SPELLINGS))])
    sheet = sheets.read(text.decode(), "US")
    (entry,) = sheet.entries.values()
    assert (entry.phone_e164, entry.fields) == ("+13175551234", {"name": f"Ann {len(SPELLINGS) - 1}"})
    assert (sheet.rows, sheet.duplicates, sheet.problems) == (len(SPELLINGS), len(SPELLINGS) - 1, [])


@pytest.mark.parametrize(
    "text",
    [
        "phone,name\r\n+13175551234,Ann\r\n",
        "\ufeffPhone Number,Full Name\n+13175551234,Ann",
        "phone;name\n+13175551234;Ann\n",
        "PHONE\tNAME\n+13175551234\tAnn\n\n\t\n",
        'a,"phone","name"\nx,"+13175551234","Ann"\n',
        "name,phone\nAnn , '+1 317 555 1234\n",
        "phone,name\r+13175551234,Ann\r",
    ],
)
def test_anybodys_file(text: str) -> None:
    (entry,) = sheets.read(text, None).entries.values()
    assert (entry.phone_e164, entry.fields) == ("+13175551234", {"name": "Ann"})


def test_every_bad_row_is_told_with_its_line() -> None:
    text = (
        "phone,name,e-mail,tags,attributes,colour\r\n"
        '+13175551234,Ann,ann@x.example,"vip, new",{},red\r\n'
        '12,"two\r\nlines",nobody,,,\r\n'
        "+13175551235,Bob,,,[1,\r\n"
        "+13175551236,,,,,,,more\r\n"
        '+13175551237,"open\r\n'
    )
    sheet = sheets.read(text, "US")
    assert list(sheet.entries) == ["+13175551234"]
    assert sheet.entries["+13175551234"].tags == ["vip", "new"]
    assert sheet.ignored == ["colour"]
    assert (sheet.rows, sheet.bad_rows) == (5, 4)
    assert [(each.line, each.column) for each in sheet.problems] == [
        (3, "phone"), (3, "name"), (3, "e-mail"), (5, "attributes"), (6, None), (7, None),
    ]  # fmt: skip
    assert sheet.problems[4] == Problem(6, None, "has 8 cells but the header has 6")


def test_later_values_are_taken_and_empty_cells_say_nothing() -> None:
    sheet = sheets.read("phone,name,notes,tags\n3175551234,Ann,first,a\n+13175551234,,second,\n", "US")
    (entry,) = sheet.entries.values()
    assert (entry.fields, entry.notes, entry.tags) == ({"name": "Ann"}, "second", ["a"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column for the phone number"),
        ("name,email\nAnn,a@x.example\n", "no column for the phone number"),
        ("phone,mobile\n1,2\n", "two columns for phone_e164"),
        ('"phone', "the header is not CSV"),
        ("phone\n" + "1\n" * 10_001, "more than 10000 rows"),
    ],
)
def test_what_is_no_list_at_all(text: str, reason: str) -> None:
    with pytest.raises(BadSheet, match=reason):
        sheets.read(text, "US")


@given(cells)
def test_a_harmless_cell_is_what_was_meant(cell: str) -> None:
    written = sheets.harmless(cell)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert sheets.meant(written) == cell


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=5))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    read = csv.reader(io.StringIO(sheets.write(rows).decode(), newline=""), strict=True)
    assert [[sheets.meant(cell) for cell in row] for row in read] == rows


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.lists(cells).map(",".join))
def test_any_text_is_a_sheet_or_not(text: str) -> None:
    for header in ("", "phone,name,notes\n"):
        try:
            sheet = sheets.read(header + text, "US")
        except BadSheet:
            continue
        assert len(sheet.entries) + sheet.duplicates + sheet.bad_rows == sheet.rows
