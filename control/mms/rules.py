"""Which files of texts are kept, and how they are shown.  Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from control.base.job import Job

#: Fetching the files of one message; the carrier keeps them meanwhile.
FETCH = Job("fetch_text_media", concurrency=8, per_organization=2, priority=20, timeout_seconds=300, attempts=20)
TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}")
KEPT_KINDS = ("image/", "audio/", "video/")
KEPT_TYPES = frozenset({"text/vcard", "text/x-vcard", "application/pdf"})
#: A picture to whoever looks at it, and a program to whoever opens it.
REFUSED_TYPES = frozenset({"image/svg+xml"})
#: What a browser shows by itself without running anything of it; the rest is saved.
SHOWN_TYPES = frozenset(
    f"{kind}/{name}"
    for kind, names in (
        ("image", ("jpeg", "png", "gif", "webp")),
        ("audio", ("mpeg", "mp4", "ogg", "wav")),
        ("video", ("mp4", "webm")),
    )
    for name in names
)
#: The carrier's answers for a file that it has no more.
GONE = frozenset({"404", "410"})


@dataclass(frozen=True, slots=True)
class Keeping:
    """The largest file, the most of one message, and for how long a file is asked for."""

    file_bytes: int
    message_bytes: int
    hours: float


def plain_type(content_type: str) -> str:
    """A media type without its parameters; nothing if it is none."""
    plain = content_type.partition(";")[0].strip().lower()
    return plain if TYPE.fullmatch(plain) else ""


def is_kept(media_type: str) -> bool:
    """Whether files of this media type are worth keeping."""
    return media_type not in REFUSED_TYPES and (media_type in KEPT_TYPES or media_type.startswith(KEPT_KINDS))


def headers(media_type: str, name: str) -> Sequence[tuple[str, str]]:
    """How a stored file is answered: as what it is, by no guess of the browser's, and as no page of ours."""
    kind = "inline" if media_type in SHOWN_TYPES else "attachment"
    return (
        ("content-disposition", f'{kind}; filename="{name}"'),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cache-control", "private, no-store"),
    )
