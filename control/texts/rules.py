"""What a person or a key may ask of the inbox.  Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from control.base import egress, phone
from hum.errors import FieldError

#: How far ahead a text may be scheduled, and a conversation put off; and how long after its time a text may be sent.
FURTHEST = timedelta(days=366)
#: Where the carrier takes media (Twilio, "Messages resource": MediaUrl).
MEDIA_COUNTRIES = frozenset({"US", "CA", "AU"})
#: Conversations that one step of the sweep wakes.
WAKES = 500
#: Changes of the inbox that are forgotten in one transaction.
FORGETS = 5000


def bad_contact(contact_e164: str, number_e164: str, countries: frozenset[str]) -> str | None:
    """Why a number must not be texted first, as the end of a sentence that begins with its name; None if it may be.

    Whoever writes to us is answered, wherever they are.  `countries`: as of `phone.bad_callee`.
    """
    if contact_e164 == number_e164:
        return "is the number itself"
    return phone.bad_callee(contact_e164, number_e164, countries)


def bad_message(
    body: str,
    media_urls: Sequence[str],
    scheduled_at: datetime | None,
    expires_at: datetime | None,
    contact_e164: str,
    now: datetime,
) -> Iterator[FieldError]:
    """What is wrong with a text that somebody wants to send."""
    if not body.strip() and not media_urls:
        yield FieldError("body", "must hold something, if there is no media")
    if media_urls and phone.country(contact_e164) not in MEDIA_COUNTRIES:
        yield FieldError(
            "media_urls", "can't be sent to this number: the carrier takes media to the US, CA and AU only"
        )
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


def bad_media_url(url: str) -> str | None:
    """Why the carrier must not be asked to fetch from a URL; None if it may be.  Nothing is looked up: it fetches, not we."""
    try:
        target = egress.parse_url(url)
    except egress.Outside as error:
        return f"is not allowed: {error.message}"
    if target.scheme != "https":
        return "must begin with https://"
    if target.port not in egress.PORTS:
        return "is not allowed: its port must be that of https"
    if target.address is not None and not egress.is_public(target.address):
        return "is not allowed: it leads to an address that is not public"
    return None


def bad_snooze(until: datetime, now: datetime) -> str | None:
    """Why a conversation can't be put off until then; None if it can."""
    if until <= now:
        return "must be in the future"
    return "must be within a year" if until > now + FURTHEST else None
