"""The rules of requests to the inbox.  Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from control.base import egress, phone
from control.mms import mediatypes
from hum.contract.errors import FieldError
from hum.publicaddress import is_public

#: The limit of a text's scheduled time, of a snooze, and of a text's expiry after its time.
FURTHEST = timedelta(days=366)
#: Where the carrier delivers media (Twilio, "Messages resource": MediaUrl).
MEDIA_COUNTRIES = frozenset({"US", "CA", "AU"})
#: Conversations woken per step of the sweep.
WAKES = 500


def bad_contact(contact_e164: str, number_e164: str, countries: frozenset[str]) -> str | None:
    """Return why a conversation with a number can't be started, as the predicate of a sentence; None if it can.

    Replies to inbound texts are allowed to any country.  `countries`: as in `phone.bad_callee`.
    """
    if contact_e164 == number_e164:
        return "is the number itself"
    return phone.bad_callee(contact_e164, number_e164, countries)


def bad_message(
    body: str,
    media_urls: Sequence[str],
    uploads: Sequence[str],
    scheduled_at: datetime | None,
    expires_at: datetime | None,
    contact_e164: str,
    now: datetime,
) -> Iterator[FieldError]:
    """Yield the errors of a requested text."""
    media = {"media_urls": media_urls, "upload_ids": uploads}
    if not body.strip() and not any(media.values()):
        yield FieldError("body", "must hold something, if there is no media")
    if any(media.values()) and phone.country(contact_e164) not in MEDIA_COUNTRIES:
        for field in (name for name, files in media.items() if files):
            yield FieldError(field, "can't be sent to this number: the carrier takes media to the US, CA and AU only")
    if len(media_urls) + len(uploads) > mediatypes.SENT_FILES:
        yield FieldError("upload_ids", f"are too many with media_urls: the carrier takes {mediatypes.SENT_FILES} files")
    for index, url in enumerate(media_urls):
        if (bad := bad_media_url(url)) is not None:
            yield FieldError(f"media_urls[{index}]", bad)
    if scheduled_at is not None and scheduled_at > now + FURTHEST:
        yield FieldError("scheduled_at", "must be within a year")
    starts = max(now, scheduled_at or now)
    if expires_at is not None and expires_at <= starts:
        yield FieldError("expires_at", "must be after the message's time")
    if expires_at is not None and expires_at > starts + FURTHEST:
        yield FieldError("expires_at", "must be within a year of the message's time")


def bad_uploads(body: str, uploads: Sequence[UUID | None], sizes: Mapping[UUID, int]) -> Iterator[FieldError]:
    """Yield the errors of a text's uploads; `sizes`: the bytes of those that it may send.  The carrier counts its words too."""
    for index, upload in enumerate(uploads):
        if upload is None or upload not in sizes:
            yield FieldError(f"upload_ids[{index}]", "does not exist, or was sent or deleted; upload the file again")
    if sum(sizes.values()) + len(body.encode()) > mediatypes.SENT_BYTES:
        most = mediatypes.SENT_BYTES // 1_000_000
        yield FieldError(
            "upload_ids", f"are larger than {most} MB together with the text, which is the most that the carrier takes"
        )


def bad_media_url(url: str) -> str | None:
    """Return why the carrier must not fetch from a URL, or None.  No name is resolved: the carrier fetches, not HUM."""
    try:
        target = egress.parse_url(url)
    except egress.EgressError as error:
        return f"is not allowed: {error.message}"
    if target.scheme != "https":
        return "must begin with https://"
    if target.port not in egress.PORTS:
        return "is not allowed: its port must be that of https"
    if target.address is not None and not is_public(target.address):
        return "is not allowed: it leads to an address that is not public"
    return None


def bad_snooze(until: datetime, now: datetime) -> str | None:
    """Return why a conversation can't be snoozed until then, or None."""
    if until <= now:
        return "must be in the future"
    return "must be within a year" if until > now + FURTHEST else None
