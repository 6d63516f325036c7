"""The languages of the carrier's <Say>.  Pure."""

#: The language of our own prompts in a language that they don't exist in.
FALLBACK = "en"
#: The carrier's <Say> takes a language with its region (twilio.com/docs/voice/twiml/say, "Supported voices").
_REGIONS = {"en": "en-US", "es": "es-ES", "fr": "fr-FR", "de": "de-DE", "it": "it-IT", "pt": "pt-PT"}


def spoken(language: str) -> str:
    """Return a language as the carrier's <Say> takes it, with the usual region if it has none."""
    return _REGIONS.get(language.lower(), language)
