"""The client of texts at the carrier: sends them, and finds them again after a lost answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from twilio.rest import Client

from control.clients.twilio_http import carrier_code, perform
from hum.contract.errors import CarrierError

NO_SUCH_RESOURCE = "20404"
CURRENCY = re.compile("[A-Za-z]{3}")
#: The page size and the most pages of a search through the latest texts from one number to another.
PAGE_TEXTS, MOST_PAGES = 100, 10
#: The bounds of a text's time in the carrier's queue (Twilio "Message", ValidityPeriod).
SHORTEST_VALIDITY_SECONDS, LONGEST_VALIDITY_SECONDS = 1, 36_000


@dataclass(frozen=True, slots=True)
class Text:
    """A text to send, with its numbers and status URL."""

    account: str  # that owns the number; empty: ours
    from_e164: str
    to_e164: str
    body: str
    media_urls: Sequence[str]
    status_url: str
    #: The carrier drops the text if it has not sent it by then.
    validity_seconds: int


@dataclass(frozen=True, slots=True)
class CarrierText:
    """A text's state at the carrier."""

    sid: str
    status: str
    error_code: str | None
    segments: int  # 0: unknown yet
    body: str
    from_e164: str
    to_e164: str
    created_at: datetime
    #: The carrier's charge and its currency; None: unknown yet.
    price: tuple[Decimal, str] | None = None


class Texts:
    """The carrier's messages."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, text: Text) -> CarrierText:
        media = {"media_url": list(text.media_urls)} if text.media_urls else {}
        validity = min(LONGEST_VALIDITY_SECONDS, max(SHORTEST_VALIDITY_SECONDS, text.validity_seconds))
        return await perform(
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
        # The API filters by sending time, which texts in the carrier's queue don't have: filter by creation time here.
        whole_second = since.replace(microsecond=0)  # the carrier's times have no fractions
        texts = list[CarrierText]()
        page = await perform(self._messages(account).page_async(to=to_e164, from_=from_e164, page_size=PAGE_TEXTS))
        for _ in range(MOST_PAGES):
            recent = [entry for entry in page if entry.date_created and entry.date_created >= whole_second]
            texts += [_text(entry) for entry in recent if str(entry.direction) == "outbound-api"]
            page = await perform(page.next_page_async()) if recent else None
            if page is None:
                return texts
        # Not an empty result: the text that the caller looks for may be behind all of these.
        raise CarrierError("The carrier has more texts from this number to that one than can be looked through.")

    async def find(self, sid: str, account: str) -> CarrierText | None:
        try:
            return await perform(_read(self._messages(account)(sid).fetch_async()))
        except CarrierError as error:
            if carrier_code(error) != NO_SUCH_RESOURCE:
                raise
            return None

    def _messages(self, account: str) -> Any:
        return self._client.api.accounts(account).messages if account else self._client.messages


async def _read(request: Any) -> CarrierText:
    return _text(await request)


def _text(message: Any) -> CarrierText:
    """Convert the SDK's object to a text.  Raises ValueError if it is none: the outcome is then unknown."""
    if not message.sid or not isinstance(message.date_created, datetime):
        raise ValueError("the answer holds no message")
    return CarrierText(
        sid=str(message.sid),
        status=str(message.status),
        error_code=str(message.error_code) if message.error_code else None,
        segments=int(message.num_segments or 0),
        body=message.body or "",
        from_e164=message.from_ or "",
        to_e164=message.to or "",
        created_at=message.date_created,
        price=price(message.price, message.price_unit),
    )


def price(amount: object, currency: object) -> tuple[Decimal, str] | None:
    """Return the carrier's charge, which it reports as a negative amount; None if it reports none."""
    try:
        charged = -Decimal(str(amount)) if amount is not None else None
    except InvalidOperation:
        return None
    if charged is None or not charged.is_finite() or not CURRENCY.fullmatch(str(currency)):
        return None
    return abs(charged), str(currency).upper()
