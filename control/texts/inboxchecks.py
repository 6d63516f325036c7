"""The rules of requests to the inbox.  Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from control.base import egress, phone
from hum.contract.errors import FieldError

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
    scheduled_at: datetime | None,
    expires_at: datetime | None,
    contact_e164: str,
    now: datetime,
) -> Iterator[FieldError]:
    """Yield the errors of a requested text."""
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
    """Return why the carrier must not fetch from a URL, or None.  No name is resolved: the carrier fetches, not HUM."""
    try:
        target = egress.parse_url(url)
    except egress.EgressError as error:
        return f"is not allowed: {error.message}"
    if target.scheme != "https":
        return "must begin with https://"
    if target.port not in egress.PORTS:
        return "is not allowed: its port must be that of https"
    if target.address is not None and not egress.is_public(target.address):
        return "is not allowed: it leads to an address that is not public"
    return None


def bad_snooze(until: datetime, now: datetime) -> str | None:
    """Return why a conversation can't be snoozed until then, or None."""
    if until <= now:
        return "must be in the future"
    return "must be within a year" if until > now + FURTHEST else None
