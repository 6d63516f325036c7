"""The whisper: what the person who answers a transferred call hears before the caller is connected.  Pure."""

from dataclasses import dataclass
from enum import Enum, auto

import phonenumbers
from phonenumbers import PhoneNumberFormat

from control.base.say import FALLBACK, spoken

#: The limit of a caller's name, which may come from an untrusted registration.
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
    """The text of a whisper, its language, and the prompt to accept the call."""

    text: str
    language: str
    prompt: str


def whisper(language: str | None, own_text: str | None, caller: str | None, e164: str, summary: str) -> Whisper:
    """Compose a whisper in the flow's language.  `own_text`: the flow's; `caller`: the caller's name, if known and verified."""
    base = (language or FALLBACK).partition("-")[0].lower()
    phrases = _PHRASES.get(base, _PHRASES[FALLBACK])
    voice_language = (
        spoken(language) if language and base in _PHRASES else spoken(base if base in _PHRASES else FALLBACK)
    )
    name = _one_line(caller or "")[:NAME_CHARS] or digits(e164) or phrases[_Phrase.UNKNOWN]
    parts = [_one_line(own_text or ""), phrases[_Phrase.CALLER].format(name), _one_line(summary)]
    return Whisper(" ".join(part for part in parts if part), voice_language, phrases[_Phrase.PROMPT])


def digits(e164: str) -> str | None:
    """Return a number as it is read out, digit by digit, in its country's groups; None if it is withheld."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    groups = ("".join(c for c in group if c.isdigit()) for group in national.replace("-", " ").split())
    return ", ".join(" ".join(group) for group in groups if group)


def _one_line(text: str) -> str:
    return " ".join(text.split())
