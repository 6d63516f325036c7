"""The jobs on documents, their formats and languages.  Pure."""

import re

from control.base.job import Job

CONVERT = Job("convert_knowledge", concurrency=4, per_organization=1, timeout_seconds=900.0)
EMBED = Job("embed_knowledge", concurrency=4, per_organization=1, timeout_seconds=900.0)
#: PostgreSQL's text search configurations by language (ISO 639-1).
CONFIGS = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
DEFAULT_LANGUAGE = "en"

_ENDINGS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".htm": "html",
    ".html": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".csv": "csv",
    ".txt": "text",
}
_MEDIA_TYPES = {
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
}
#: Possessive quantifiers: a file of many comments without a page must not cause catastrophic backtracking.
_HTML = re.compile(rb"\s*+(?:<!--(?:(?!-->).)*+-->\s*+)*+<(!doctype html|html)\b", re.IGNORECASE | re.DOTALL)


def config(language: str) -> str:
    """Return PostgreSQL's text search configuration for a language tag; `simple` for an unknown one."""
    return CONFIGS.get(language.partition("-")[0].lower(), "simple")


def format_of(body: bytes, name: str, media_type: str = "") -> str:
    """Detect a document's format by its first bytes, its media type and its name."""
    head = body[:1024].lstrip(b"\xef\xbb\xbf")
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "docx"
    by_name = next((format for ending, format in _ENDINGS.items() if name.lower().endswith(ending)), None)
    by_type = _MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    if by_type and (by_type != "text" or by_name is None):
        return by_type
    return by_name or ("html" if _HTML.match(head) else "text")
