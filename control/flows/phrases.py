"""HUM's own prompts in a call, in the flow's language.  Pure."""

from typing import NamedTuple

FALLBACK = "en"


class Phrases(NamedTuple):
    #: Spoken before recording starts, if the flow announces it.
    announcement: str
    #: Replaces the greeting when a call resumes after its media process died.
    resumed: str
    hold: str
    goodbye: str
    apology: str
    #: Spoken before a call reaches its longest duration.
    limit: str
    #: Spoken to a silent caller.
    idle: str


_PHRASES = {
    "en": Phrases(
        "This call may be recorded.",
        "Sorry about that, I'm back.",
        "One moment, please.",
        "Thank you for calling. Goodbye.",
        "I'm sorry, something went wrong on our side. Please call again in a little while. Goodbye.",
        "We are almost out of time: this call will end shortly.",
        "Are you still there?",
    ),
    "es": Phrases(
        "Esta llamada puede ser grabada.",
        "Disculpe, ya estoy de vuelta.",
        "Un momento, por favor.",
        "Gracias por llamar. Adiós.",
        "Lo siento, ha habido un problema por nuestra parte. Por favor, vuelva a llamar en unos minutos. Adiós.",
        "Casi no nos queda tiempo: esta llamada terminará en breve.",
        "¿Sigue ahí?",
    ),
    "fr": Phrases(
        "Cet appel peut être enregistré.",
        "Excusez-moi, je suis de retour.",
        "Un instant, s'il vous plaît.",
        "Merci de votre appel. Au revoir.",
        "Je suis désolé, un problème est survenu de notre côté. Veuillez rappeler dans quelques instants. Au revoir.",
        "Il nous reste très peu de temps : cet appel va bientôt se terminer.",
        "Êtes-vous toujours là ?",
    ),
    "de": Phrases(
        "Dieser Anruf wird möglicherweise aufgezeichnet.",
        "Entschuldigung, da bin ich wieder.",
        "Einen Moment, bitte.",
        "Vielen Dank für Ihren Anruf. Auf Wiederhören.",
        "Es tut mir leid, bei uns ist ein Fehler aufgetreten. Bitte rufen Sie gleich noch einmal an. Auf Wiederhören.",
        "Unsere Zeit ist fast um: Dieser Anruf endet gleich.",
        "Sind Sie noch da?",
    ),
    "it": Phrases(
        "Questa chiamata potrebbe essere registrata.",
        "Mi scusi, sono di nuovo qui.",
        "Un momento, per favore.",
        "Grazie per aver chiamato. Arrivederci.",
        "Mi dispiace, si è verificato un problema da parte nostra. La preghiamo di richiamare tra poco. Arrivederci.",
        "Il tempo sta per scadere: questa chiamata terminerà a breve.",
        "È ancora in linea?",
    ),
    "pt": Phrases(
        "Esta chamada pode ser gravada.",
        "Desculpe, já estou de volta.",
        "Um momento, por favor.",
        "Obrigado por ligar. Adeus.",
        "Lamento, ocorreu um problema do nosso lado. Por favor, volte a ligar dentro de momentos. Adeus.",
        "O nosso tempo está quase a acabar: esta chamada vai terminar em breve.",
        "Ainda está aí?",
    ),
}


def phrases(language: str | None) -> Phrases:
    """Return the prompts in this language (BCP 47) if we have them, else in English."""
    return _PHRASES.get((language or FALLBACK).partition("-")[0].lower(), _PHRASES[FALLBACK])


#: The goodbye and the apology of outbound calls.
_CALLED = {
    "en": ("Thank you for your time. Goodbye.", "I'm sorry, something went wrong on our side. Goodbye."),
    "es": ("Gracias por su tiempo. Adiós.", "Lo siento, ha habido un problema por nuestra parte. Adiós."),
    "fr": ("Merci de votre temps. Au revoir.", "Je suis désolé, un problème est survenu de notre côté. Au revoir."),
    "de": (
        "Vielen Dank für Ihre Zeit. Auf Wiederhören.",
        "Es tut mir leid, bei uns ist ein Fehler aufgetreten. Auf Wiederhören.",
    ),
    "it": ("Grazie per il Suo tempo. Arrivederci.", "Mi dispiace, si è verificato un problema. Arrivederci."),
    "pt": ("Obrigado pelo seu tempo. Adeus.", "Lamento, ocorreu um problema do nosso lado. Adeus."),
}


def called(language: str | None) -> tuple[str, str]:
    """Return the goodbye and the apology of an outbound call, in this language (BCP 47) or English."""
    return _CALLED.get((language or FALLBACK).partition("-")[0].lower(), _CALLED[FALLBACK])
