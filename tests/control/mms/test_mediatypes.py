"""Which files may be sent, by their bytes alone."""

import pytest

from control.mms import mediatypes

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
MP4 = b"\0\0\0\x18ftyp%s\0\0\0\0"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"GIF87a..", "image/gif"),
        (b"GIF89a..", "image/gif"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD", "text/vcard"),
        (b"\xef\xbb\xbfbegin:vcard\nEND:VCARD", "text/vcard"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"#!AMR\n<", "audio/amr"),
        (b"#!AMR-WB\n", "audio/amr"),
        (MP4 % b"M4A ", "audio/mp4"),
        (MP4 % b"isom", "video/mp4"),
        (MP4 % b"mp42", "video/mp4"),
        (MP4 % b"qt  ", "video/quicktime"),
        (MP4 % b"3gp5", "video/3gpp"),
        (MP4 % b"3g2a", "video/3gpp2"),
        # A picture first, whatever follows: it is served as the picture that it begins as.
        (PNG + b"<script>alert(1)</script>", "image/png"),
        (b"GIF89a/*<svg onload=alert(1)>*/=1", "image/gif"),
        (PNG + b"PK\x03\x04" + b"\0" * 100, "image/png"),
        # Pages, drawings that run scripts, archives, programs, and kinds that the carrier does not take.
        (b"<!doctype html><script>", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"<?xml version='1.0'?><svg/>", None),
        (b" \x89PNG\r\n\x1a\n", None),
        (b"PK\x03\x04", None),
        (b"MZ\x90", None),
        (b"\x7fELF", None),
        (b"RIFF\0\0\0\0WEBPVP8 ", None),
        (MP4 % b"heic", None),
        (MP4 % b"avif", None),
        (b"\xff\xd8", None),
        (b"\xff", None),
        (b"BEGIN:VCALENDAR\r\n", None),
        (b"name,phone\n", None),
        (b"", None),
    ],
)
def test_a_files_kind_follows_from_its_bytes(content: bytes, media_type: str | None) -> None:
    assert mediatypes.sent_type(content) == media_type


def test_each_kind_that_is_sent_has_an_extension_and_is_kept() -> None:
    kinds = {kind for _, kind in (*mediatypes.SIGNATURES, *mediatypes.BRANDS)} | {"text/vcard"}
    assert kinds == set(mediatypes.EXTENSIONS)
    assert all(mediatypes.is_kept(kind) for kind in kinds)


def test_pictures_are_kept_and_drawings_and_what_is_unknown_not() -> None:
    kept = ("image/jpeg", "image/heic", "audio/amr", "video/3gpp", "text/x-vcard", "application/pdf")
    refused = (
        "image/svg+xml",
        "image/svg",
        "image/svg+xml-compressed",
        "image/xml",
        "image/wmf",
        "text/html",
        "model/x3d+xml",
    )
    assert [name for name in (*kept, *refused) if mediatypes.is_kept(name)] == list(kept)


def test_what_is_wrong_with_a_file() -> None:
    most = PNG.ljust(mediatypes.SENT_BYTES, b"\0")
    assert mediatypes.bad_upload(most) is None
    assert "larger than 5 MB" in (mediatypes.bad_upload(most + b"\0") or "")
    assert mediatypes.bad_upload(b"") == "is empty"
    assert "carrier does not take" in (mediatypes.bad_upload(b"<html>") or "")
