"""The rules of texts' files: which are kept, and how they are served.  Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from control.base.job import Job

#: Fetches the files of one message; the carrier keeps them until then.
FETCH = Job("fetch_text_media", concurrency=8, per_organization=2, priority=20, timeout_seconds=300, attempts=20)
TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}")
KEPT_KINDS = ("image/", "audio/", "video/")
KEPT_TYPES = frozenset({"text/vcard", "text/x-vcard", "application/pdf"})
#: Images that may run scripts when opened.
REFUSED_TYPES = frozenset({"image/svg+xml"})
#: Types that a browser shows inline without running code; the others are downloaded.
SHOWN_TYPES = frozenset(
    f"{kind}/{name}"
    for kind, names in (
        ("image", ("jpeg", "png", "gif", "webp")),
        ("audio", ("mpeg", "mp4", "ogg", "wav")),
        ("video", ("mp4", "webm")),
    )
    for name in names
)
#: The carrier's statuses for a file that is gone.
GONE = frozenset({"404", "410"})


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The limits of bytes per file and per message, and the hours of retries."""

    file_bytes: int
    message_bytes: int
    hours: float


def plain_type(content_type: str) -> str:
    """Strip a media type's parameters; return an empty text if it is invalid."""
    plain = content_type.partition(";")[0].strip().lower()
    return plain if TYPE.fullmatch(plain) else ""


def is_kept(media_type: str) -> bool:
    """Return whether files of this media type are kept."""
    return media_type not in REFUSED_TYPES and (media_type in KEPT_TYPES or media_type.startswith(KEPT_KINDS))


def headers(media_type: str, name: str) -> Sequence[tuple[str, str]]:
    """Return the headers for a stored file: no sniffing of its type, and a sandbox apart from our origin."""
    kind = "inline" if media_type in SHOWN_TYPES else "attachment"
    return (
        ("content-disposition", f'{kind}; filename="{name}"'),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cache-control", "private, no-store"),
    )
