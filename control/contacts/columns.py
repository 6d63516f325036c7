"""What the columns of an imported file become: by their titles, or as the request says.  Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

FIELDS = ("phone_e164", "name", "email", "company", "notes", "tags", "attributes_json")
#: Parts of a name, in the order in which they are written; and one cell that begins with the last name: `Doe, Jane`.
NAME_PARTS = ("name_prefix", "first_name", "middle_name", "last_name", "name_suffix")
LAST_FIRST = "last_first_name"
#: A column that is left out.
IGNORE = "ignore"
#: An attribute of the contact, and one that holds a date; its name follows.
ATTRIBUTE, DATE = "attribute:", "date:"
#: Titles of columns for fields; compared in lower case, without accents, with spaces between words.
NAMES: Mapping[str, str] = {
    **{name.replace("_", " "): name for name in FIELDS},
    **{
        title: name
        for name, titles in {
            "phone_e164": """
                phone, phone number, telephone, telephone number, tel, mobile, mobile phone, mobile number, cell, cell phone, cellphone,
                number, telefono, numero, numero de telefono, movil, celular, telefono movil, telefon, handy, whatsapp""",
            "name": """
                full name, contact, contact name, display name, customer, customer name, client, client name, patient, patient name,
                nombre, nombre completo, nombre y apellidos, contacto, cliente, paciente""",
            "email": "e mail, email address, e mail address, mail, correo, correo electronico, direccion de correo",
            "company": """
                organization, organisation, company name, business, business name, account, empresa, organizacion, compania""",
            "notes": "note, comment, comments, remarks, nota, notas, comentario, comentarios, observaciones",
            "tags": "tag, labels, label, groups, group, etiqueta, etiquetas, grupo, grupos",
            "attributes_json": "attributes, atributos",
            "name_prefix": "prefix, name prefix, honorific, courtesy title, mr/mrs, tratamiento",
            "first_name": """
                first name, firstname, first, given name, given names, forename, patient first name, client first name, customer first name,
                contact first name, primer nombre, nombre de pila, nombres, vorname, prenom""",
            "middle_name": "middle name, middlename, middle, middle initial, mi, patient middle name, segundo nombre",
            "last_name": """
                last name, lastname, last, family name, surname, patient last name, client last name, customer last name,
                contact last name, apellido, apellidos, nachname, nom de famille""",
            "name_suffix": "suffix, name suffix, sufijo",
            LAST_FIRST: """
                last name first name, last first, last first middle, lastname firstname, patient name last first, apellidos nombre,
                apellido nombre""",
        }.items()
        for title in re.split(r",\s+", titles.strip())
    },
}
ACCENTS = str.maketrans("áéèíóúüñç", "aeeiouunc")
MOST_COLUMNS = 200
#: A date with or without a time after it, as spreadsheets write them.
DATE_PARTS = re.compile(r"(\d{1,4})\s?[./\- ]\s?(\d{1,2})\s?[./\- ]\s?(\d{1,4})(?:[ T]\d{1,2}:\d{2}.{0,20})?", re.ASCII)
#: The orders of day, month and year, in words for a sentence.
ORDERS = {
    "ymd": "year-month-day, for example 1985-12-31",
    "dmy": "day/month/year, for example 31/12/1985",
    "mdy": "month/day/year, for example 12/31/1985",
}


class BadColumns(ValueError):  # noqa: N818
    """The reason why the columns of a file can't become what was asked."""


class SheetColumn(NamedTuple):
    """A column of a file: its place, its title, and what it becomes."""

    place: int
    title: str
    target: str

    @property
    def attribute(self) -> str:
        """The attribute that it becomes; empty if it becomes a field."""
        return self.target.partition(":")[2]

    @property
    def is_date(self) -> bool:
        return self.target.startswith(DATE)


def guesses(header: Sequence[str]) -> list[str]:
    """Return what the columns become by their titles.  Raises BadColumns if two become the same field."""
    targets: list[str] = []
    for title in header:
        words = re.sub(r"[\s_.,()\-]+", " ", title.lower()).strip().translate(ACCENTS)
        targets.append(NAMES.get(words, IGNORE))
    if "last_name" in targets and "first_name" not in targets:  # "Nombre", "Apellidos"
        targets = ["first_name" if target == "name" else target for target in targets]
    _require_each_once(targets)
    return targets


def full_name(cells: Mapping[str, str]) -> str:
    """Return the name of a row: as one cell has it, or its parts; empty if it has none."""
    if name := cells.get("name"):
        return name
    last, comma, first = cells.get(LAST_FIRST, "").partition(",")
    parts = [first, last] if comma else [last]
    if any(cells.get(part) for part in NAME_PARTS):
        parts = [cells.get(part, "") for part in NAME_PARTS]
    return " ".join(part.strip() for part in parts if part.strip())


def chosen(header: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Check what a request says that the columns become.  Raises BadColumns."""
    if len(targets) != len(header):
        raise BadColumns(f"are {len(targets)}, but the file has {len(header)}")
    _require_each_once(
        [target.replace(DATE, ATTRIBUTE, 1) if target.startswith(DATE) else target for target in targets]
    )
    return list(targets)


def of_header(header: Sequence[str], targets: Sequence[str]) -> list[SheetColumn]:
    """Return the columns that are imported."""
    places = zip(header, targets, strict=True)
    return [SheetColumn(n, title.strip(), target) for n, (title, target) in enumerate(places) if target != IGNORE]


def iso_date(text: str, order: str) -> str | None:
    """Return a date as `1985-12-31`; None if it is none in this order.  A year of four digits may stand first in any order."""
    match = DATE_PARTS.fullmatch(text)
    if match is None:
        return None
    parts = match.groups()
    by = dict(zip("ymd" if len(parts[0]) == len("YYYY") else order, parts, strict=True))
    if len(by["y"]) != len("YYYY"):
        return None
    try:
        return date(int(by["y"]), int(by["m"]), int(by["d"])).isoformat()
    except ValueError:
        return None


def _require_each_once(targets: Iterable[str]) -> None:
    seen = set[str]()
    for target in targets:
        if target != IGNORE and target in seen:
            raise BadColumns(f"has two columns for {target.removeprefix(ATTRIBUTE)}")
        seen.add(target)
