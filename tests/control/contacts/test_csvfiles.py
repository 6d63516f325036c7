"""CSV in and out."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contacts import csvfiles
from control.contacts.columns import BadColumns
from control.contacts.csvfiles import BadSheet, Problem, Sheet, SheetBatch
from tests.control.contacts.test_phone import SPELLINGS

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["=1+1", "+x", "-x", "@x", "'", "''=", "\t=", "\r", "a;b", 'a"b', "a\nb", "＝1"]
)


def read(text: str, region: str | None, most: int = 1_000_000) -> SheetBatch:
    return Sheet(text.encode(), region).batch(most)


def test_every_spelling_of_one_number_is_one_contact() -> None:
    text = csvfiles.write([("phone", "name"), *((spelling, f"Ann {n}") for n, spelling in enumerate(SPELLINGS))])
    sheet = read(text.decode(), "US")
    (entry,) = sheet.entries.values()
    assert (entry.phone_e164, entry.fields) == ("+13175551234", {"name": f"Ann {len(SPELLINGS) - 1}"})
    assert (sheet.rows, sheet.duplicates, sheet.bad_rows) == (len(SPELLINGS), len(SPELLINGS) - 1, 0)
    assert [each.line for each in sheet.problems] == list(range(3, len(SPELLINGS) + 2))


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
    (entry,) = read(text, None).entries.values()
    assert (entry.phone_e164, entry.fields) == ("+13175551234", {"name": "Ann"})


@pytest.mark.parametrize(
    "header",
    [
        "phone" + "," * csvfiles.HEADER_BYTES,
        "phone," + '"\n",' * csvfiles.HEADER_BYTES,
        'phone,"' + "x" * csvfiles.HEADER_BYTES,
    ],
)
def test_no_more_than_the_beginning_is_searched_for_the_header(header: str) -> None:
    """The header is read beside calls, which would wait."""
    with pytest.raises(BadSheet, match="the header is longer than"):
        read(header + "\n+13175551234\n", None)


def test_a_header_may_be_all_that_fits() -> None:
    title = "x" * (csvfiles.HEADER_BYTES // 2)
    for rows in (1, 1000):
        sheet = read(f"phone,{title}\n" + "+13175551234,Ann\n" * rows, None)
        assert (sheet.rows, list(sheet.entries)) == (rows, ["+13175551234"])


def test_every_bad_row_is_told_with_its_line() -> None:
    text = (
        "phone,name,e-mail,tags,attributes,colour\r\n"
        '+13175551234,Ann,ann@x.example,"vip, new",{},red\r\n'
        '12,"two\r\nlines",nobody,,,\r\n'
        "+13175551235,Bob,,,[1,\r\n"
        "+13175551236,,,,,,,more\r\n"
        '+13175551237,"open\r\n'
    )
    sheet = read(text, "US")
    assert list(sheet.entries) == ["+13175551234"]
    assert sheet.entries["+13175551234"].tags == ["vip", "new"]
    assert Sheet(text.encode(), "US").ignored == ["colour"]
    assert (sheet.rows, sheet.bad_rows) == (5, 4)
    assert [(each.line, each.column) for each in sheet.problems] == [
        (3, "phone"), (3, "name"), (3, "e-mail"), (5, "attributes"), (6, None), (7, None),
    ]  # fmt: skip
    assert sheet.problems[4] == Problem(6, None, "has 8 cells but the header has 6")


def test_later_values_are_taken_and_empty_cells_say_nothing() -> None:
    sheet = read("phone,name,notes,tags\n3175551234,Ann,first,a\n+13175551234,,second,\n", "US")
    (entry,) = sheet.entries.values()
    assert (entry.fields, entry.notes, entry.tags) == ({"name": "Ann"}, "second", ["a"])
    reason = "has the number of line 2; where both say something, this line counts"
    assert sheet.problems == [Problem(3, "phone", reason)]


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("First Name,Last Name", "Jane,Doe", "Jane Doe"),
        ("Last Name,First Name,Middle Initial", "Doe,Jane,Q.", "Jane Q. Doe"),
        ("Prefix,First,Last,Suffix", "Dr.,Jane,Doe,Jr.", "Dr. Jane Doe Jr."),
        ("Patient First Name,Patient Last Name", "Jane,", "Jane"),
        ("Nombre,Apellidos", "Ana,Ruiz Gil", "Ana Ruiz Gil"),
        ("Vorname,Nachname", "Ada,Muster", "Ada Muster"),
        ("Prénom,Nom de famille", "Zoé,Petit", "Zoé Petit"),
        ('"Patient Name (Last, First)"', '"Doe, Jane"', "Jane Doe"),
        ('"Last, First"', "Doe", "Doe"),
        ("Full Name,First Name,Last Name", "Jane Q. Doe,Jane,Doe", "Jane Q. Doe"),
        ("Full Name,First Name,Last Name", ",Jane,Doe", "Jane Doe"),
    ],
)
def test_parts_of_a_name_become_one(header: str, row: str, name: str) -> None:
    (entry,) = read(f"phone,{header}\n3175551234,{row}\n", "US").entries.values()
    assert entry.fields == {"name": name}


def test_a_name_that_is_too_long_is_told_of_a_part() -> None:
    sheet = read(f"phone,First Name,Last Name\n3175551234,{'x' * 150},{'y' * 150}\n", "US")
    assert [(each.line, each.column) for each in sheet.problems] == [(2, "First Name")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column for the phone number"),
        ("name,email\nAnn,a@x.example\n", "no column for the phone number"),
        ("phone,mobile\n1,2\n", "two columns for phone_e164"),
        ('"phone', "the header is not CSV"),
    ],
)
def test_what_is_no_list_at_all(text: str, reason: str) -> None:
    with pytest.raises(BadSheet, match=reason):
        Sheet(text.encode(), "US")


def test_a_file_is_read_in_batches_and_gone_on_with_anywhere() -> None:
    text = "phone,name\r\n" + "".join(
        f'+1317555{n:04d},"Ann\r\n{n}"\r\n' + "\r\n" * (n % 3 == 0) + "12,\r\n" * (n % 5 == 0) for n in range(100)
    )
    whole = read(text.replace("Ann\r\n", "Ann "), "US")
    assert (len(whole.entries), whole.bad_rows, whole.rows, whole.passed) == (100, 20, 120, 154)
    for most in (1, 7, 50, 154):
        passed, lines, names = 0, list[int](), list[str]()
        while True:
            sheet = Sheet(text.replace("Ann\r\n", "Ann ").encode(), "US")  # as after a kill
            sheet.skip(passed)
            batch = sheet.batch(most)
            if not batch.passed:
                break
            passed += batch.passed
            lines += [each.line for each in batch.problems]
            names += [entry.fields["name"] for entry in batch.entries.values()]
        assert names == [entry.fields["name"] for entry in whole.entries.values()]
        assert lines == [each.line for each in whole.problems]


def test_a_row_without_its_number_is_a_bad_row() -> None:
    batch = read("name,phone\nAnn\n", "US")
    assert batch.problems == [Problem(2, "phone", "is not a phone number")]


def test_a_row_that_never_ends_takes_no_more_than_its_lines() -> None:
    batch = read('phone,name\n+13175551234,"' + f"{'x' * 99}\n" * 2_000 + "+13175551235,Bob\n", "US")
    assert (list(batch.entries), batch.problems[0].line) == (["+13175551235"], 2)
    assert batch.problems[0].reason.startswith("is not CSV")


@given(cells)
def test_a_harmless_cell_is_what_was_meant(cell: str) -> None:
    assert csvfiles.unescaped(csvfiles.escaped(cell)) == cell


FORMULA = re.compile('["\t\r\n]*[=+\\-@＝＋－＠]')


@given(
    st.lists(
        st.lists(cells | st.sampled_from(["x;=cmd()", "a\t-1", 'a";"=cmd()', "b\n@x", ";;+1", "a|=1"]), min_size=1),
        max_size=5,
    )
)
def test_no_dialect_finds_a_formula(rows: list[list[str]]) -> None:
    """However a spreadsheet takes the file apart, no part of it begins like a formula."""
    text = csvfiles.write(rows).decode()
    for delimiter in ",;\t|":
        for quotes in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            lines = io.StringIO(text, newline="")
            for row in csv.reader(lines, delimiter=delimiter, quoting=quotes):
                for cell in row:
                    assert not FORMULA.match(cell), (delimiter, cell, text)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=5))
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    read = csv.reader(io.StringIO(csvfiles.write(rows).decode(), newline=""), strict=True)
    assert [[csvfiles.unescaped(cell) for cell in row] for row in read] == rows


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.lists(cells).map(",".join))
def test_any_text_is_a_sheet_or_not(text: str) -> None:
    for header in ("", "phone,name,notes\n"):
        try:
            batch = read(header + text, "US")
        except BadSheet:
            continue
        assert len(batch.entries) + batch.duplicates + batch.bad_rows == batch.rows


def test_columns_become_what_was_chosen() -> None:
    text = "Tel;Birthday;Shoe;Rest\n+13175551234;31/12/1985;'=38;x\n+13175551235;;;\n+13175551236;12/31/1985;40;\n"
    targets = ["phone_e164", "date:birthday", "attribute:shoe size", "ignore"]
    sheet = Sheet(text.encode(), None, targets, "dmy")
    batch = sheet.batch(10)
    assert sheet.ignored == ["Rest"]
    assert [(each.phone_e164, each.attributes) for each in batch.entries.values()] == [
        ("+13175551234", {"birthday": "1985-12-31", "shoe size": "=38"}),
        ("+13175551235", {}),
    ]
    assert batch.problems == [Problem(4, "Birthday", "is no date as day/month/year, for example 31/12/1985")]


def test_failed_rows_come_back_as_they_were_with_formulas_guarded() -> None:
    text = 'phone,email,x\n12,nobody,"=HYPERLINK(1)"\n+13175551234,a@b.example,\n1,2,3,4\n'
    sheet = Sheet(text.encode(), "US")
    batch = sheet.batch(10)
    content = csvfiles.failures(sheet.header, (), has_header=True) + csvfiles.failures(
        (), batch.failures, has_header=False
    )
    head, first, second = csv.reader(io.StringIO(content.decode()))
    assert head == ["line", "reason", "phone", "email", "x"]
    assert first == [
        "2", "phone: is not a possible phone number; email: is not an e-mail address", "12", "nobody", "'=HYPERLINK(1)",
    ]  # fmt: skip
    assert second == ["4", "has 4 cells but the header has 3", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("targets", "why"),
    [(["name", "ignore"], "must name the column of the phone number"), (["phone_e164"], "are 1, but the file has 2")],
)
def test_columns_that_do_not_fit_are_refused(targets: list[str], why: str) -> None:
    with pytest.raises(BadColumns, match=why):
        Sheet(b"a,b\n1,2\n", None, targets)
