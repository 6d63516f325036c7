"""What columns become, and how dates are read."""

import pytest

from control.contacts import columns
from control.contacts.columns import BadColumns


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("Phone", "phone_e164"), (" phone_number ", "phone_e164"), ("Mobile Phone", "phone_e164"), ("Teléfono", "phone_e164"),
        ("MÓVIL", "phone_e164"), ("Número de teléfono", "phone_e164"), ("Celular", "phone_e164"), ("phone_e164", "phone_e164"),
        ("Name", "name"), ("Full-Name", "name"), ("Nombre completo", "name"), ("Patient", "name"),
        ("E-mail", "email"), ("Correo electrónico", "email"), ("Company", "company"), ("Empresa", "company"),
        ("Compañía", "company"), ("Notas", "notes"), ("Observaciones", "notes"), ("Tags", "tags"), ("Etiquetas", "tags"),
        ("attributes_json", "attributes_json"), ("Birthday", "ignore"), ("Last name", "last_name"), ("Title", "ignore"), ("", "ignore"), ("=phone", "ignore"),
    ],
)  # fmt: skip
def test_a_title_is_guessed(title: str, field: str) -> None:
    assert columns.guesses([title]) == [field]


@pytest.mark.parametrize(
    ("header", "targets", "why"),
    [
        (["a"], ["phone_e164", "name"], "are 2, but the file has 1"),
        (["a", "b"], ["phone_e164", "phone_e164"], "two columns for phone_e164"),
        (["a", "b"], ["attribute:x", "date:x"], "two columns for x"),
    ],
)
def test_what_columns_can_not_become(header: list[str], targets: list[str], why: str) -> None:
    with pytest.raises(BadColumns, match=why):
        columns.chosen(header, targets)


def test_columns_are_left_out_as_often_as_one_likes() -> None:
    targets = ["ignore", "phone_e164", "ignore", "attribute:name"]
    assert columns.chosen(["a", "b", "c", "d"], targets) == targets
    kept = columns.of_header([" a", "b", "c", " d "], targets)
    assert [(each.place, each.title, each.attribute) for each in kept] == [(1, "b", ""), (3, "d", "name")]


@pytest.mark.parametrize(
    ("text", "order", "date"),
    [
        ("1985-12-31", "ymd", "1985-12-31"),
        ("1985/1/2", "mdy", "1985-01-02"),
        ("31/12/1985", "dmy", "1985-12-31"),
        ("31.12.1985", "dmy", "1985-12-31"),
        ("31. 12. 1985", "dmy", "1985-12-31"),
        ("12/31/1985", "mdy", "1985-12-31"),
        ("2/3/1985", "dmy", "1985-03-02"),
        ("2/3/1985", "mdy", "1985-02-03"),
        ("1985-12-31 00:00:00", "dmy", "1985-12-31"),
        ("12/31/1985 12:00 AM", "mdy", "1985-12-31"),
        ("29/02/2024", "dmy", "2024-02-29"),
        # No such day, another order, or a year that could be of two centuries.
        ("29/02/2023", "dmy", None),
        ("31/12/1985", "mdy", None),
        ("31/12/1985", "ymd", None),
        ("31/12/85", "dmy", None),
        ("0000-01-01", "ymd", None),
        ("1985", "ymd", None),
        ("12/31", "mdy", None),
        ("٣١/١٢/١٩٨٥", "dmy", None),
        ("31/12/1985; DROP", "dmy", None),
        ("1985-12-31 00:00" + "9" * 50, "ymd", None),
        ("yesterday", "ymd", None),
    ],
)
def test_a_date_is_read_in_the_order_that_was_told(text: str, order: str, date: str | None) -> None:
    assert columns.iso_date(text, order) == date
