"""What a mailbox says, by its flow.  Pure."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

FALLBACK = "en"


class Line(Enum):
    CLOSED = auto()  # outside the business hours
    NOBODY = auto()  # somebody was rung, and did not answer
    ASK = auto()
    AGAIN = auto()  # instead of all of these, to a caller whose stream was lost in the message
    THANKS = auto()
    GOODBYE = auto()  # to a caller who said nothing
    APOLOGY = auto()


_LINES = {
    "en": {
        Line.CLOSED: "Thank you for calling. We are closed at the moment.",
        Line.NOBODY: "We are sorry, nobody can take your call at the moment.",
        Line.ASK: "Please leave your name, your number and a message after the tone.",
        Line.AGAIN: "Sorry, we lost the connection. Please go on with your message after the tone.",
        Line.THANKS: "Thank you. We have recorded your message. Goodbye.",
        Line.GOODBYE: "Thank you for calling. Goodbye.",
        Line.APOLOGY: "We are sorry, your message can not be recorded. Please call again in a little while. Goodbye.",
    },
    "es": {
        Line.CLOSED: "Gracias por llamar. En este momento estamos cerrados.",
        Line.NOBODY: "Lo sentimos, en este momento nadie puede atender su llamada.",
        Line.ASK: "Por favor, deje su nombre, su número y un mensaje después de la señal.",
        Line.AGAIN: "Disculpe, se ha cortado la conexión. Por favor, continúe con su mensaje después de la señal.",
        Line.THANKS: "Gracias. Hemos grabado su mensaje. Adiós.",
        Line.GOODBYE: "Gracias por llamar. Adiós.",
        Line.APOLOGY: "Lo sentimos, no podemos grabar su mensaje. Por favor, vuelva a llamar en unos minutos. Adiós.",
    },
    "fr": {
        Line.CLOSED: "Merci de votre appel. Nous sommes actuellement fermés.",
        Line.NOBODY: "Nous sommes désolés, personne ne peut prendre votre appel pour le moment.",
        Line.ASK: "Veuillez laisser votre nom, votre numéro et un message après le signal sonore.",
        Line.AGAIN: "Excusez-nous, la communication a été coupée. Veuillez poursuivre votre message après le signal sonore.",
        Line.THANKS: "Merci. Votre message a été enregistré. Au revoir.",
        Line.GOODBYE: "Merci de votre appel. Au revoir.",
        Line.APOLOGY: "Nous sommes désolés, votre message ne peut pas être enregistré. Veuillez rappeler dans quelques "
        "instants. Au revoir.",
    },
    "de": {
        Line.CLOSED: "Vielen Dank für Ihren Anruf. Wir haben zurzeit geschlossen.",
        Line.NOBODY: "Es tut uns leid, im Moment kann niemand Ihren Anruf entgegennehmen.",
        Line.ASK: "Bitte hinterlassen Sie nach dem Signalton Ihren Namen, Ihre Nummer und eine Nachricht.",
        Line.AGAIN: "Entschuldigung, die Verbindung war unterbrochen. Bitte sprechen Sie nach dem Signalton weiter.",
        Line.THANKS: "Vielen Dank. Wir haben Ihre Nachricht aufgenommen. Auf Wiederhören.",
        Line.GOODBYE: "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
        Line.APOLOGY: "Es tut uns leid, Ihre Nachricht kann nicht aufgenommen werden. Bitte rufen Sie gleich noch einmal an. "
        "Auf Wiederhören.",
    },
    "it": {
        Line.CLOSED: "Grazie per aver chiamato. Al momento siamo chiusi.",
        Line.NOBODY: "Siamo spiacenti, al momento nessuno può rispondere alla Sua chiamata.",
        Line.ASK: "La preghiamo di lasciare nome, numero e un messaggio dopo il segnale acustico.",
        Line.AGAIN: "Ci scusi, la comunicazione si è interrotta. La preghiamo di continuare dopo il segnale acustico.",
        Line.THANKS: "Grazie. Abbiamo registrato il Suo messaggio. Arrivederci.",
        Line.GOODBYE: "Grazie per aver chiamato. Arrivederci.",
        Line.APOLOGY: "Siamo spiacenti, il Suo messaggio non può essere registrato. La preghiamo di richiamare tra poco. "
        "Arrivederci.",
    },
    "pt": {
        Line.CLOSED: "Obrigado por ligar. Neste momento estamos fechados.",
        Line.NOBODY: "Lamentamos, neste momento ninguém pode atender a sua chamada.",
        Line.ASK: "Por favor, deixe o seu nome, o seu número e uma mensagem depois do sinal.",
        Line.AGAIN: "Pedimos desculpa, a ligação caiu. Por favor, continue a sua mensagem depois do sinal.",
        Line.THANKS: "Obrigado. A sua mensagem foi gravada. Adeus.",
        Line.GOODBYE: "Obrigado por ligar. Adeus.",
        Line.APOLOGY: "Lamentamos, a sua mensagem não pode ser gravada. Por favor, volte a ligar dentro de momentos. Adeus.",
    },
}
#: Why a message is taken -> what is said of that, if the flow has no greeting of its own.
_REASONS = {"after_hours": Line.CLOSED, "unanswered": Line.NOBODY}


def language(definition: Mapping[str, Any]) -> str:
    """The language of our own sentences for this flow."""
    base = str(definition.get("language") or FALLBACK).partition("-")[0].lower()
    return base if base in _LINES else FALLBACK


def line(which: Line, definition: Mapping[str, Any]) -> str:
    return _LINES[language(definition)][which]


def openings(definition: Mapping[str, Any], why: str, *, again: bool = False) -> list[str]:
    """What is said before the beep, in order.  `again`: the caller's message had begun, and their stream was lost."""
    if again:
        return [line(Line.AGAIN, definition)]
    closed, own = (_own(definition, name) for name in ("after_hours_message", "voicemail_greeting"))
    first = closed if why == "after_hours" else None
    if first is None and own is None and (reason := _REASONS.get(why)) is not None:
        first = line(reason, definition)
    return [text for text in (first, own or line(Line.ASK, definition)) if text]


def language_of(texts: Sequence[str], definition: Mapping[str, Any]) -> str:
    """The language that sentences of this mailbox are in: the customer's own are in the flow's, which ours may not be."""
    ours = set(_LINES[language(definition)].values())
    return language(definition) if ours.issuperset(texts) else str(definition.get("language") or FALLBACK)


def texts(definition: Mapping[str, Any]) -> list[str]:
    """Everything that the mailbox of a flow may say; nothing if the flow has none."""
    if not definition.get("voicemail_enabled"):
        return []
    opened = [text for why in ("agent", *_REASONS) for text in openings(definition, why)]
    ours = [line(which, definition) for which in (Line.AGAIN, Line.THANKS, Line.GOODBYE, Line.APOLOGY)]
    return list(dict.fromkeys((*opened, *ours)))


def _own(definition: Mapping[str, Any], name: str) -> str | None:
    return str(definition.get(name) or "").strip() or None
