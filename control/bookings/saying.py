"""Times as people say them, in the languages that HUM's own prompts exist in.  Pure.

A weekday is always named, and today and tomorrow by their words: a model that computed them would err.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

FALLBACK = "en"
#: From this far on the year is named.
FAR = timedelta(days=300)


@dataclass(frozen=True, slots=True)
class Wording:
    """How a language says times; `day` and `clock` get a wall time."""

    weekdays: Sequence[str]
    months: Sequence[str]
    day: Callable[["Wording", datetime], str]
    clock: Callable[[datetime], str]
    today: str
    tomorrow: str
    #: Between the last two of a list.
    last: str
    #: What follows the sentence where the caller's clock shows another time.
    zone: str


def when(
    start: datetime, zone: ZoneInfo, now: datetime, language: str | None, listener: Sequence[ZoneInfo] = ()
) -> str:
    """Return a start in a zone as a person says it; `listener` has the zones in which the other side may be."""
    wording, wall = _wording(language), start.astimezone(zone)
    ahead = (wall.date() - now.astimezone(zone).date()).days
    near = {0: f"{wording.today}, ", 1: f"{wording.tomorrow}, "}.get(ahead, "")
    year = f" {wall.year}" if start - now > FAR else ""
    is_elsewhere = bool(listener) and all(start.astimezone(each).utcoffset() != wall.utcoffset() for each in listener)
    place = wording.zone.format(city=zone.key.rpartition("/")[2].replace("_", " ")) if is_elsewhere else ""
    return f"{near}{wording.day(wording, wall)}{year}{wording.clock(wall)}{place}"


def choice(times: Sequence[str], language: str | None) -> str:
    """Return times as a list, the last one after an "or"."""
    if len(times) < 2:
        return "".join(times)
    return f"{'; '.join(times[:-1])}; {_wording(language).last} {times[-1]}"


def _wording(language: str | None) -> Wording:
    return _WORDINGS.get((language or FALLBACK).partition("-")[0].lower(), _WORDINGS[FALLBACK])


def _english(wall: datetime) -> str:
    minutes = f":{wall.minute:02}" if wall.minute else ""
    return f", at {wall.hour % 12 or 12}{minutes} {'AM' if wall.hour < 12 else 'PM'}"


def _spanish(wall: datetime) -> str:
    hour, minutes = wall.hour % 12 or 12, f":{wall.minute:02}" if wall.minute else ""
    part = "de la mañana" if wall.hour < 12 else "de la tarde" if wall.hour < 20 else "de la noche"
    return f", a {'la' if hour == 1 else 'las'} {hour}{minutes} {part}"


def _french(wall: datetime) -> str:
    return f" à {wall.hour} h{f' {wall.minute:02}' if wall.minute else ''}"


def _german(wall: datetime) -> str:
    return f", um {wall.hour}{f':{wall.minute:02}' if wall.minute else ''} Uhr"


def _italian(wall: datetime) -> str:
    at = "all'" if wall.hour == 1 else "alle "
    return f" {at}{wall.hour}{f':{wall.minute:02}' if wall.minute else ''}"


def _portuguese(wall: datetime) -> str:
    return f", {'à' if wall.hour in {0, 1} else 'às'} {wall.hour}h{f'{wall.minute:02}' if wall.minute else ''}"


def _parts(wording: Wording, wall: datetime) -> tuple[str, int, str]:
    return wording.weekdays[wall.weekday()], wall.day, wording.months[wall.month - 1]


def _day_english(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday}, {month} {day}"


def _day_of_month(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday} {day} de {month}"


def _day_french(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday} {'1er' if day == 1 else day} {month}"


def _day_german(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday}, {day}. {month}"


def _day_italian(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday} {day} {month}"


def _day_portuguese(wording: Wording, wall: datetime) -> str:
    weekday, day, month = _parts(wording, wall)
    return f"{weekday}, {day} de {month}"


_WORDINGS = {
    "en": Wording(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
        _day_english,
        _english,
        "today",
        "tomorrow",
        "or",
        ", {city} time",
    ),
    "es": Wording(
        ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        _day_of_month,
        _spanish,
        "hoy",
        "mañana",
        "o",
        ", hora de {city}",
    ),
    "fr": Wording(
        ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
        _day_french,
        _french,
        "aujourd'hui",
        "demain",
        "ou",
        ", heure de {city}",
    ),
    "de": Wording(
        ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
        _day_german,
        _german,
        "heute",
        "morgen",
        "oder",
        ", Ortszeit {city}",
    ),
    "it": Wording(
        ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
        [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
        _day_italian,
        _italian,
        "oggi",
        "domani",
        "o",
        ", ora di {city}",
    ),
    "pt": Wording(
        ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
        [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
        _day_portuguese,
        _portuguese,
        "hoje",
        "amanhã",
        "ou",
        ", hora de {city}",
    ),
}
