"""The prompts of a mailbox, by its flow.  Pure."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

FALLBACK = "en"


class Line(Enum):
    """A prompt of our own."""

    CLOSED = auto()  # outside the business hours
    UNANSWERED = auto()  # after an unanswered transfer
    ASK = auto()
    # Replaces the openings if the stream was lost during the message.
    AGAIN = auto()
    THANKS = auto()
    GOODBYE = auto()  # to a caller who said nothing
    APOLOGY = auto()


_LINES = {
    "en": {
        Line.CLOSED: "Thank you for calling. We are closed at the moment.",
        Line.UNANSWERED: "We are sorry, nobody can take your call at the moment.",
        Line.ASK: "Please leave your name, your number and a message after the tone.",
        Line.AGAIN: "Sorry, we lost the connection. Please go on with your message after the tone.",
        Line.THANKS: "Thank you. We have recorded your message. Goodbye.",
        Line.GOODBYE: "Thank you for calling. Goodbye.",
        Line.APOLOGY: "We are sorry, your message can not be recorded. Please call again in a little while. Goodbye.",
    },
    "es": {
        Line.CLOSED: "Gracias por llamar. En este momento estamos cerrados.",
        Line.UNANSWERED: "Lo sentimos, en este momento nadie puede atender su llamada.",
        Line.ASK: "Por favor, deje su nombre, su número y un mensaje después de la señal.",
        Line.AGAIN: "Disculpe, se ha cortado la conexión. Por favor, continúe con su mensaje después de la señal.",
        Line.THANKS: "Gracias. Hemos grabado su mensaje. Adiós.",
        Line.GOODBYE: "Gracias por llamar. Adiós.",
        Line.APOLOGY: "Lo sentimos, no podemos grabar su mensaje. Por favor, vuelva a llamar en unos minutos. Adiós.",
    },
    "fr": {
        Line.CLOSED: "Merci de votre appel. Nous sommes actuellement fermés.",
        Line.UNANSWERED: "Nous sommes désolés, personne ne peut prendre votre appel pour le moment.",
        Line.ASK: "Veuillez laisser votre nom, votre numéro et un message après le signal sonore.",
        Line.AGAIN: "Excusez-nous, la communication a été coupée. Veuillez poursuivre votre message après le signal sonore.",
        Line.THANKS: "Merci. Votre message a été enregistré. Au revoir.",
        Line.GOODBYE: "Merci de votre appel. Au revoir.",
        Line.APOLOGY: "Nous sommes désolés, votre message ne peut pas être enregistré. Veuillez rappeler dans quelques "
        "instants. Au revoir.",
    },
    "de": {
        Line.CLOSED: "Vielen Dank für Ihren Anruf. Wir haben zurzeit geschlossen.",
        Line.UNANSWERED: "Es tut uns leid, im Moment kann niemand Ihren Anruf entgegennehmen.",
        Line.ASK: "Bitte hinterlassen Sie nach dem Signalton Ihren Namen, Ihre Nummer und eine Nachricht.",
        Line.AGAIN: "Entschuldigung, die Verbindung war unterbrochen. Bitte sprechen Sie nach dem Signalton weiter.",
        Line.THANKS: "Vielen Dank. Wir haben Ihre Nachricht aufgenommen. Auf Wiederhören.",
        Line.GOODBYE: "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
        Line.APOLOGY: "Es tut uns leid, Ihre Nachricht kann nicht aufgenommen werden. Bitte rufen Sie gleich noch einmal an. "
        "Auf Wiederhören.",
    },
    "it": {
        Line.CLOSED: "Grazie per aver chiamato. Al momento siamo chiusi.",
        Line.UNANSWERED: "Siamo spiacenti, al momento nessuno può rispondere alla Sua chiamata.",
        Line.ASK: "La preghiamo di lasciare nome, numero e un messaggio dopo il segnale acustico.",
        Line.AGAIN: "Ci scusi, la comunicazione si è interrotta. La preghiamo di continuare dopo il segnale acustico.",
        Line.THANKS: "Grazie. Abbiamo registrato il Suo messaggio. Arrivederci.",
        Line.GOODBYE: "Grazie per aver chiamato. Arrivederci.",
        Line.APOLOGY: "Siamo spiacenti, il Suo messaggio non può essere registrato. La preghiamo di richiamare tra poco. "
        "Arrivederci.",
    },
    "pt": {
        Line.CLOSED: "Obrigado por ligar. Neste momento estamos fechados.",
        Line.UNANSWERED: "Lamentamos, neste momento ninguém pode atender a sua chamada.",
        Line.ASK: "Por favor, deixe o seu nome, o seu número e uma mensagem depois do sinal.",
        Line.AGAIN: "Pedimos desculpa, a ligação caiu. Por favor, continue a sua mensagem depois do sinal.",
        Line.THANKS: "Obrigado. A sua mensagem foi gravada. Adeus.",
        Line.GOODBYE: "Obrigado por ligar. Adeus.",
        Line.APOLOGY: "Lamentamos, a sua mensagem não pode ser gravada. Por favor, volte a ligar dentro de momentos. Adeus.",
    },
}
#: The reason of a message -> its prompt, if the flow has no greeting of its own.
_REASONS = {"after_hours": Line.CLOSED, "unanswered": Line.UNANSWERED}


def language(definition: Mapping[str, Any]) -> str:
    """Return the language of our own prompts for a flow."""
    base = str(definition.get("language") or FALLBACK).partition("-")[0].lower()
    return base if base in _LINES else FALLBACK


def line(which: Line, definition: Mapping[str, Any]) -> str:
    return _LINES[language(definition)][which]


def openings(definition: Mapping[str, Any], why: str, *, again: bool = False) -> list[str]:
    """Return the prompts before the beep, in order.  `again`: the stream was lost during the caller's message."""
    if again:
        return [line(Line.AGAIN, definition)]
    closed, own = (_own(definition, name) for name in ("after_hours_message", "voicemail_greeting"))
    first = closed if why == "after_hours" else None
    if first is None and own is None and (reason := _REASONS.get(why)) is not None:
        first = line(reason, definition)
    return [text for text in (first, own or line(Line.ASK, definition)) if text]


def language_of(texts: Sequence[str], definition: Mapping[str, Any]) -> str:
    """Return the language of a mailbox's prompts: the customer's are in the flow's language, ours may be in another."""
    own_prompts = set(_LINES[language(definition)].values())
    return language(definition) if own_prompts.issuperset(texts) else str(definition.get("language") or FALLBACK)


def texts(definition: Mapping[str, Any]) -> list[str]:
    """Return all prompts of a flow's mailbox; empty if it has none."""
    if not definition.get("voicemail_enabled"):
        return []
    opened = [text for why in ("agent", *_REASONS) for text in openings(definition, why)]
    others = [line(which, definition) for which in (Line.AGAIN, Line.THANKS, Line.GOODBYE, Line.APOLOGY)]
    return list(dict.fromkeys((*opened, *others)))


def _own(definition: Mapping[str, Any], name: str) -> str | None:
    return str(definition.get(name) or "").strip() or None
