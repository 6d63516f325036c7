"""Prompts for callers when no agent can speak, in the language of the flow.  Pure."""

from enum import Enum, auto

from control.base.say import FALLBACK, spoken


class CallerPrompt(Enum):
    """A prompt."""

    NOT_IN_SERVICE = auto()
    UNAVAILABLE = auto()
    CLOSED = auto()
    APOLOGY = auto()
    BUSY = auto()


_TEXTS = {
    "en": {
        CallerPrompt.NOT_IN_SERVICE: "We are sorry, this number is not in service. Goodbye.",
        CallerPrompt.UNAVAILABLE: "We are sorry, nobody can take your call at the moment. Goodbye.",
        CallerPrompt.CLOSED: "Thank you for calling. We are closed at the moment. Please call again during our business "
        "hours. Goodbye.",
        CallerPrompt.APOLOGY: "We are sorry, something went wrong on our side. Please call again in a little while. Goodbye.",
        CallerPrompt.BUSY: "We are sorry, all our lines are busy at the moment. Please call again in a little while. Goodbye.",
    },
    "es": {
        CallerPrompt.UNAVAILABLE: "Lo sentimos, en este momento nadie puede atender su llamada. Adiós.",
        CallerPrompt.CLOSED: "Gracias por llamar. En este momento estamos cerrados. Por favor, vuelva a llamar en nuestro "
        "horario de atención. Adiós.",
        CallerPrompt.APOLOGY: "Lo sentimos, ha habido un problema por nuestra parte. Por favor, vuelva a llamar en unos "
        "minutos. Adiós.",
        CallerPrompt.BUSY: "Lo sentimos, en este momento todas nuestras líneas están ocupadas. Por favor, vuelva a llamar en "
        "unos minutos. Adiós.",
    },
    "fr": {
        CallerPrompt.UNAVAILABLE: "Nous sommes désolés, personne ne peut prendre votre appel pour le moment. Au revoir.",
        CallerPrompt.CLOSED: "Merci de votre appel. Nous sommes actuellement fermés. Veuillez rappeler pendant nos heures "
        "d'ouverture. Au revoir.",
        CallerPrompt.APOLOGY: "Nous sommes désolés, un problème est survenu de notre côté. Veuillez rappeler dans quelques "
        "instants. Au revoir.",
        CallerPrompt.BUSY: "Nous sommes désolés, toutes nos lignes sont actuellement occupées. Veuillez rappeler dans quelques "
        "instants. Au revoir.",
    },
    "de": {
        CallerPrompt.UNAVAILABLE: "Es tut uns leid, im Moment kann niemand Ihren Anruf entgegennehmen. Auf Wiederhören.",
        CallerPrompt.CLOSED: "Vielen Dank für Ihren Anruf. Wir haben zurzeit geschlossen. Bitte rufen Sie während unserer "
        "Öffnungszeiten wieder an. Auf Wiederhören.",
        CallerPrompt.APOLOGY: "Es tut uns leid, bei uns ist ein Fehler aufgetreten. Bitte rufen Sie gleich noch einmal an. "
        "Auf Wiederhören.",
        CallerPrompt.BUSY: "Es tut uns leid, im Moment sind alle unsere Leitungen belegt. Bitte rufen Sie gleich noch einmal "
        "an. Auf Wiederhören.",
    },
    "it": {
        CallerPrompt.UNAVAILABLE: "Siamo spiacenti, al momento nessuno può rispondere alla Sua chiamata. Arrivederci.",
        CallerPrompt.CLOSED: "Grazie per aver chiamato. Al momento siamo chiusi. La preghiamo di richiamare durante l'orario "
        "di apertura. Arrivederci.",
        CallerPrompt.APOLOGY: "Siamo spiacenti, si è verificato un problema da parte nostra. La preghiamo di richiamare tra "
        "poco. Arrivederci.",
        CallerPrompt.BUSY: "Siamo spiacenti, al momento tutte le nostre linee sono occupate. La preghiamo di richiamare tra "
        "poco. Arrivederci.",
    },
    "pt": {
        CallerPrompt.UNAVAILABLE: "Lamentamos, neste momento ninguém pode atender a sua chamada. Adeus.",
        CallerPrompt.CLOSED: "Obrigado por ligar. Neste momento estamos fechados. Por favor, volte a ligar no nosso horário "
        "de atendimento. Adeus.",
        CallerPrompt.APOLOGY: "Lamentamos, ocorreu um problema do nosso lado. Por favor, volte a ligar dentro de momentos. "
        "Adeus.",
        CallerPrompt.BUSY: "Lamentamos, neste momento todas as nossas linhas estão ocupadas. Por favor, volte a ligar dentro "
        "de momentos. Adeus.",
    },
}


def localized(prompt: CallerPrompt, language: str | None) -> tuple[str, str]:
    """Return a prompt's text and its language: the flow's (BCP 47) if the prompt exists in it, else English."""
    base = (language or FALLBACK).partition("-")[0].lower()
    text = _TEXTS.get(base, {}).get(prompt)
    return (_TEXTS[FALLBACK][prompt], spoken(FALLBACK)) if text is None else (text, spoken(language or base))
