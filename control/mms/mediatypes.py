"""The rules of texts' files: which are kept or sent, and how they are served.  Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from control.base.job import Job

#: Fetches the files of one message; the carrier keeps them until then.
FETCH = Job("fetch_text_media", concurrency=8, per_organization=2, priority=20, timeout_seconds=300, attempts=20)
TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,99}")
KEPT_KINDS = ("audio/", "video/")
#: Pictures are pixels alone: a drawing may run scripts when opened.
KEPT_TYPES = frozenset(
    {
        *(
            f"image/{name}"
            for name in ("jpeg", "jpg", "png", "gif", "webp", "bmp", "x-ms-bmp", "tiff", "heic", "heif", "avif")
        ),
        *("text/vcard", "text/x-vcard", "application/pdf"),
    }
)
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
#: What the carrier takes as one text: all its files together (Twilio, "Accepted content types for media"), and how many.
SENT_BYTES, SENT_FILES = 5_000_000, 10
#: How long an upload waits for its text.
UPLOAD_LIFETIME = timedelta(days=1)
#: Kinds by their first bytes.
SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr"),
    (b"ID3", "audio/mpeg"),
)
#: Kinds of ISO base media files by their major brand (ISO/IEC 14496-12), the longest prefix first.
BRANDS = (
    (b"3g2", "video/3gpp2"),
    (b"3g", "video/3gpp"),
    (b"M4A ", "audio/mp4"),
    (b"M4B ", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
    *((brand, "video/mp4") for brand in (b"iso", b"mp4", b"avc1", b"M4V", b"MSNV", b"dash", b"mmp4", b"f4v ")),
)
#: The first byte of an MPEG frame, and of the second one the bits of synchronization and layer (III).
MP3_SYNC, MP3_MASK, MP3_LAYER = 0xFF, 0xE6, 0xE2
VCARD = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,16}BEGIN:VCARD\r?\n", re.IGNORECASE)
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "application/pdf": "pdf",
    "text/vcard": "vcf",
    "audio/amr": "amr",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/3gpp": "3gp",
    "video/3gpp2": "3g2",
    "video/quicktime": "mov",
}
SENT_KINDS = (
    "a picture (JPEG, PNG or GIF), a PDF, a contact (vCard), a sound (MP3, AMR or M4A) or a video (MP4, MOV or 3GP)"
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
    return media_type in KEPT_TYPES or media_type.startswith(KEPT_KINDS)


def sent_type(content: bytes) -> str | None:
    """Return the media type of a file that may be sent, by its bytes alone; None if the carrier takes no such file."""
    for start, media_type in SIGNATURES:
        if content.startswith(start):
            return media_type
    if content[4:8] == b"ftyp":
        return next((media_type for brand, media_type in BRANDS if content[8:12].startswith(brand)), None)
    if len(content) > 1 and content[0] == MP3_SYNC and content[1] & MP3_MASK == MP3_LAYER:
        return "audio/mpeg"
    return "text/vcard" if VCARD.match(content) else None


def bad_upload(content: bytes) -> str | None:
    """Return why a file can't be sent, as the predicate of a sentence; None if it can."""
    if not content:
        return "is empty"
    if len(content) > SENT_BYTES:
        return f"is larger than {SENT_BYTES // 1_000_000} MB, which is the most that the carrier takes"
    if sent_type(content) is None:
        return f"is of a kind that the carrier does not take: send {SENT_KINDS}"
    return None


def headers(media_type: str, name: str) -> Sequence[tuple[str, str]]:
    """Return the headers for a stored file: no sniffing of its type, and a sandbox apart from our origin."""
    kind = "inline" if media_type in SHOWN_TYPES else "attachment"
    return (
        ("content-disposition", f'{kind}; filename="{name}"'),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cache-control", "private, no-store"),
    )
