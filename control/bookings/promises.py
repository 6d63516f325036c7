"""Whether a text claims that an appointment was booked, moved or canceled, in the languages of HUM's own prompts.  Pure.

A rule over words, sentence by sentence: an appointment, that something was done with it, and nothing that says it was not, or
not yet.  It is read beside the rows: a claim without a row is shown to a person.
"""

import re
from collections.abc import Iterable

_APPOINTMENT = re.compile(
    r"\b(?:appointments?|bookings?|reservations?|visits?|check-?ups?|cleanings?|consultations?|slots?"
    r"|citas?|turnos?|reservas?|visitas?|consultas?"
    r"|rendez-vous|r[ée]servations?|consultations?"
    r"|termin\w*|buchung\w*|reservierung\w*"
    r"|appuntament[oi]|prenotazion[ei]|visit[ae]"
    r"|marca[cç](?:ão|ões)|agendamentos?|horários?)\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(?:booked|scheduled|rescheduled|reserved|confirmed|moved|cancel+ed|arranged|set\s+up|made"
    r"|reservad[oa]s?|agendad[oa]s?|programad[oa]s?|confirmad[oa]s?|cancelad[oa]s?|cambiad[oa]s?|concertad[oa]s?"
    r"|réservée?s?|pris|fixée?s?|confirmée?s?|annulée?s?|déplacée?s?|planifiée?s?"
    r"|gebucht|vereinbart|reserviert|bestätigt|verschoben|abgesagt|storniert|eingetragen"
    r"|prenotat[oaie]|fissat[oaie]|confermat[oaie]|annullat[oaie]|spostat[oaie]|disdett[oaie]"
    r"|marcad[oa]s?|remarcad[oa]s?)\b",
    re.IGNORECASE,
)
_VERBS = re.compile(r"\b(?:booked|reservad[oa]|gebucht|prenotat[oa]|réservée?)\b", re.IGNORECASE)
#: Not done, not yet, or wished for.
_NOT = re.compile(
    r"\b(?:not|no|never|none|nothing|cannot|can't|couldn't|wasn't|isn't|unable|failed|without|wants?|wanted|would|like|wish(?:es|ed)?"
    r"|ask(?:s|ed)?|request(?:s|ed)?|tr(?:y|ies|ied)|will|to\s+be|should|must|pending|already|earlier|existing|previous(?:ly)?|if|whether"
    r"|nunca|ning[uú]n[ao]?|sin|quiere|quería|pidió|solicit\w+|pendiente|será|si|ya"
    r"|ne|n'|pas|aucune?|sans|veut|voulait|souhait\w+|demand\w+|sera|attente|déjà"
    r"|nicht|kein\w*|ohne|will|wollte|möchte|wünscht\w*|bittet|bat|wird|soll|ausstehend|bereits|schon"
    r"|non|nessun\w*|senza|vuole|voleva|chied\w+|richie\w+|sarà|attesa|già"
    r"|não|nenhum\w*|sem|quer|queria|pediu|solicit\w+|será|pendente|já)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?;\n]+(?:\s|$)")


def claims(texts: Iterable[str]) -> bool:
    """Tell whether one of these texts claims that an appointment was booked, moved or canceled."""
    return any(_is_claim(sentence) for text in texts for sentence in _SENTENCE.split(text))


def _is_claim(sentence: str) -> bool:
    if _NOT.search(sentence):
        return False
    return bool(_VERBS.search(sentence) or (_APPOINTMENT.search(sentence) and _DONE.search(sentence)))
