"""What speech recognition writes that nobody said: credits of films, a thank-you for a noise, a loop.  Pure.

Whisper and its relatives were trained on subtitles, and write what stood there when there is nothing to hear.
"""

import re

_CREDIT = re.compile(
    r"(?:thank(?:s| you)(?: so much| very much)? for watching"
    r"|(?:please )?(?:like and )?subscribe(?: to (?:my|our|the) channel)?"
    r"|(?:transcribed|transcription|subtitles?|subtitled|captions?|captioned|captioning) by\b.*(?:community|\.org|\.com|castingwords)"
    r"|untertitel(?:ung)?(?: der| des| von| im| aufgrund)\b.*"
    r"|sous-?titr(?:es|age)\b.*"
    r"|subt[ií]tulos (?:realizados |hechos )?por\b.*"
    r"|gracias por ver(?: el v[ií]deo)?"
    r"|sottotitoli (?:creati|a cura|e revisione)\b.*"
    r"|legendas? (?:pela|por)\b.*"
    r"|.*\bamara\.org\b.*"
    r"|merci d'avoir regardé.*|vielen dank für(?:s| das) zuschauen"
    r"|\[[^\]]*\]|\([^)]*\)|♪.*)",
    re.IGNORECASE,
)
#: What is written for a click or a breath, and said by people as well: they take longer for it.
_POLITE = frozenset(
    [
        "you",
        "thank you",
        "thank you very much",
        "thanks",
        "bye",
        "bye bye",
        "okay",
        "gracias",
        "muchas gracias",
        "adiós",
        "merci",
        "merci beaucoup",
        "danke",
        "vielen dank",
        "tschüss",
        "grazie",
        "ciao",
        "obrigado",
        "obrigada",
        "tchau",
    ]
)
#: The fastest that people speak.
LEAST_MS_PER_CHARACTER = 25
#: So often the same words in a row are a loop: one word, and several.
MOST_EQUAL_WORDS, MOST_EQUAL_PHRASES, LONGEST_PHRASE_WORDS = 12, 8, 8
_SENTENCE = re.compile(r"[^.!?…。！？]+")


def is_credit(text: str) -> bool:
    """Tell whether a text is made of subtitles' credits and marks of sounds alone, such as "[music]"."""
    if _CREDIT.fullmatch(text.strip(" .!")):
        return True
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    return bool(sentences) and all(_CREDIT.fullmatch(sentence) for sentence in sentences if sentence)


def is_polite(text: str) -> bool:
    """Tell whether a text is one that noises are taken for."""
    return _plain(text) in _POLITE


def is_too_fast(text: str, voiced_ms: int) -> bool:
    """Tell whether nobody can say a text in so short a time."""
    return voiced_ms < LEAST_MS_PER_CHARACTER * len(_plain(text))


def is_loop(text: str) -> bool:
    """Tell whether a recognizer has begun to repeat itself."""
    words = _plain(text).split()
    return any(
        _longest_run(words, size) >= (MOST_EQUAL_WORDS if size == 1 else MOST_EQUAL_PHRASES * size)
        for size in range(1, LONGEST_PHRASE_WORDS + 1)
    )


def _longest_run(words: list[str], period: int) -> int:
    """Return for how many words the text repeats itself with a period; the first time counts."""
    longest = run = period
    for word, later in zip(words, words[period:], strict=False):
        run = run + 1 if word == later else period
        longest = max(longest, run)
    return longest


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s']", " ", text.casefold()).split())
