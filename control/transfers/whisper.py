"""What a person hears who answers a transferred call, before the caller does: in the language of the flow.  Pure."""

from dataclasses import dataclass
from enum import Enum, auto

import phonenumbers
from phonenumbers import PhoneNumberFormat

from control.calls.sentences import FALLBACK, spoken

#: Of a name: somebody may have registered a novel for their number.
NAME_CHARS = 100


class _Phrase(Enum):
    CALLER = auto()
    UNKNOWN = auto()
    PROMPT = auto()


_PHRASES = {
    "en": {
        _Phrase.CALLER: "You have a transferred call from {}.",
        _Phrase.UNKNOWN: "an unknown number",
        _Phrase.PROMPT: "Press 1 to take the call.",
    },
    "es": {
        _Phrase.CALLER: "Tiene una llamada transferida de {}.",
        _Phrase.UNKNOWN: "un número desconocido",
        _Phrase.PROMPT: "Pulse 1 para aceptar la llamada.",
    },
    "fr": {
        _Phrase.CALLER: "Vous avez un appel transféré de {}.",
        _Phrase.UNKNOWN: "un numéro inconnu",
        _Phrase.PROMPT: "Appuyez sur 1 pour prendre l'appel.",
    },
    "de": {
        _Phrase.CALLER: "Ein Anruf für Sie von {}.",
        _Phrase.UNKNOWN: "einer unbekannten Nummer",
        _Phrase.PROMPT: "Drücken Sie die 1, um den Anruf anzunehmen.",
    },
    "it": {
        _Phrase.CALLER: "Ha una chiamata trasferita da {}.",
        _Phrase.UNKNOWN: "un numero sconosciuto",
        _Phrase.PROMPT: "Prema 1 per accettare la chiamata.",
    },
    "pt": {
        _Phrase.CALLER: "Tem uma chamada transferida de {}.",
        _Phrase.UNKNOWN: "um número desconhecido",
        _Phrase.PROMPT: "Prima 1 para aceitar a chamada.",
    },
}


@dataclass(frozen=True, slots=True)
class Whisper:
    """What is said, in which language, and how the call is taken."""

    text: str
    language: str
    prompt: str


def whisper(language: str | None, own_text: str | None, caller: str | None, e164: str, summary: str) -> Whisper:
    """`own_text`: the flow's; `caller`: the name of whoever calls, if it is known and nobody forges it."""
    base = (language or FALLBACK).partition("-")[0].lower()
    phrases = _PHRASES.get(base, _PHRASES[FALLBACK])
    said_in = spoken(language) if language and base in _PHRASES else spoken(base if base in _PHRASES else FALLBACK)
    who = _one_line(caller or "")[:NAME_CHARS] or digits(e164) or phrases[_Phrase.UNKNOWN]
    parts = [_one_line(own_text or ""), phrases[_Phrase.CALLER].format(who), _one_line(summary)]
    return Whisper(" ".join(part for part in parts if part), said_in, phrases[_Phrase.PROMPT])


def digits(e164: str) -> str | None:
    """A number as it is said, digit by digit, in its country's notation; None if it is withheld."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    groups = ("".join(c for c in group if c.isdigit()) for group in national.replace("-", " ").split())
    return ", ".join(" ".join(group) for group in groups if group)


def _one_line(text: str) -> str:
    return " ".join(text.split())
