"""Texts at the carrier: sent once, and found again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from twilio.rest import Client

from control.clients.twilio_http import asked, carrier_code
from hum.errors import CarrierError

NO_SUCH_RESOURCE = "20404"
CURRENCY = re.compile("[A-Za-z]{3}")
#: The latest texts from one number to another are looked through in pages of so many, and so many pages at most.
PAGE_TEXTS, MOST_PAGES = 100, 10
#: The carrier keeps a text in its queue for at least and at most so long (Twilio "Message", ValidityPeriod).
SHORTEST_VALIDITY_SECONDS, LONGEST_VALIDITY_SECONDS = 1, 36_000


@dataclass(frozen=True, slots=True)
class Text:
    """A text to send: who texts whom, and where the carrier tells of it."""

    account: str  # that holds the number; empty: ours
    from_e164: str
    to_e164: str
    body: str
    media_urls: Sequence[str]
    status_url: str
    validity_seconds: int  # if the carrier has not sent it by then, it never does


@dataclass(frozen=True, slots=True)
class CarrierText:
    """How a text stands at the carrier."""

    sid: str
    status: str
    error_code: str | None
    segments: int  # 0: not known yet
    body: str
    from_e164: str
    to_e164: str
    created_at: datetime
    #: What the carrier charges, with its currency; None: it has not told yet.
    price: tuple[Decimal, str] | None = None


class Texts:
    """The carrier's messages."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, text: Text) -> CarrierText:
        media = {"media_url": list(text.media_urls)} if text.media_urls else {}
        validity = min(LONGEST_VALIDITY_SECONDS, max(SHORTEST_VALIDITY_SECONDS, text.validity_seconds))
        return await asked(
            _read(
                self._messages(text.account).create_async(
                    to=text.to_e164,
                    from_=text.from_e164,
                    body=text.body,
                    status_callback=text.status_url,
                    validity_period=validity,
                    **media,
                )
            )
        )

    async def sent(self, account: str, from_e164: str, to_e164: str, since: datetime) -> Sequence[CarrierText]:
        # The list can be filtered by when texts were sent, and those in the carrier's queue are not sent yet: so it is not.
        whole_second = since.replace(microsecond=0)  # the carrier's times have no fractions
        found = list[CarrierText]()
        page = await asked(self._messages(account).page_async(to=to_e164, from_=from_e164, page_size=PAGE_TEXTS))
        for _ in range(MOST_PAGES):
            recent = [each for each in page if each.date_created and each.date_created >= whole_second]
            found += [_text(each) for each in recent if str(each.direction) == "outbound-api"]
            page = await asked(page.next_page_async()) if recent else None
            if page is None:
                return found
        # Whoever looks for a text must not take it for absent because it is behind all of these.
        raise CarrierError("The carrier has more texts from this number to that one than can be looked through.")

    async def find(self, sid: str, account: str) -> CarrierText | None:
        try:
            return await asked(_read(self._messages(account)(sid).fetch_async()))
        except CarrierError as error:
            if carrier_code(error) != NO_SUCH_RESOURCE:
                raise
            return None

    def _messages(self, account: str) -> Any:
        return self._client.api.accounts(account).messages if account else self._client.messages


async def _read(request: Any) -> CarrierText:
    return _text(await request)


def _text(found: Any) -> CarrierText:
    """A text, from the SDK's object.  Raises ValueError when it is none: then nobody knows what the carrier did."""
    if not found.sid or not isinstance(found.date_created, datetime):
        raise ValueError("the answer holds no message")
    return CarrierText(
        sid=str(found.sid),
        status=str(found.status),
        error_code=str(found.error_code) if found.error_code else None,
        segments=int(found.num_segments or 0),
        body=found.body or "",
        from_e164=found.from_ or "",
        to_e164=found.to or "",
        created_at=found.date_created,
        price=price(found.price, found.price_unit),
    )


def price(amount: object, currency: object) -> tuple[Decimal, str] | None:
    """What the carrier charges, which it tells as a negative amount, if at all."""
    try:
        charged = -Decimal(str(amount)) if amount is not None else None
    except InvalidOperation:
        return None
    if charged is None or not charged.is_finite() or not CURRENCY.fullmatch(str(currency)):
        return None
    return abs(charged), str(currency).upper()
