"""What texts, look-ups, clips and the AI's turns use, written down in the transaction in which it becomes known."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from control.clients.openai import Spent
from control.usage import rules
from hum import ids
from hum.clock import now
from storage import usage
from storage.db import Tx
from storage.usage import Owner, TextMeters, TextRow, Used

SENT = TextMeters(rules.MESSAGES_SENT, rules.SEGMENTS_SENT, rules.MEDIA_SENT)
RECEIVED = TextMeters(rules.MESSAGES_RECEIVED, rules.SEGMENTS_RECEIVED, rules.MEDIA_RECEIVED)
#: Audio of a call: mu-law at 8 kHz.
BYTES_PER_MS = 8
#: The part of what is used without a call or a text.
TRIAL = "trial"
#: What the carrier is asked about a number, each for a price of its own.
LOOKED_UP = ("caller_name", "line_type_intelligence")


def of_model(part: str, spent: Spent) -> list[Used]:
    quantities = {
        rules.TEXT_IN: spent.text_in,
        rules.CACHED_TEXT_IN: spent.cached_text_in,
        rules.TEXT_OUT: spent.text_out,
        rules.AUDIO_IN: spent.audio_in,
        rules.TRANSCRIPTION_MS: spent.heard_ms,
    }
    return [Used(part, meter, spent.model[: rules.MOST_ITEM_CHARS], quantity) for meter, quantity in quantities.items()]


def attempt_part(number: int) -> str:
    return f"attempt {number}"


def sent_text(message: UUID, attempt: int, to_e164: str, segments: int) -> TextRow:
    return TextRow(message, attempt_part(attempt), rules.country(to_e164), segments)


async def texts_sent(tx: Tx, texts: Sequence[TextRow], at: datetime) -> None:
    """The carrier has taken these, or says how many segments they are."""
    if texts:
        await usage.put_texts(tx, texts, SENT, at)


async def texts_received(tx: Tx, segments: Mapping[UUID, int], number_e164: str, at: datetime) -> None:
    """These messages came to a number of ours, each with so many segments."""
    country = rules.country(number_e164)
    texts = [TextRow(message, "", country, count) for message, count in segments.items()]
    await usage.put_texts(tx, texts, RECEIVED, at)


async def text_priced(tx: Tx, org: UUID, message: UUID, attempt: int, price: tuple[Decimal, str]) -> None:
    """The carrier says what it charges for a text."""
    owner, meters = Owner(org, message), [rules.SEGMENTS_SENT, rules.MEDIA_SENT]
    if await usage.set_price(tx, owner, attempt_part(attempt), meters, *price):
        await usage.announce(tx, owner)


async def turn_taken(tx: Tx, owner: Owner, attempt: int, spent: list[Spent]) -> None:
    """What the model used in one attempt at a turn, step by step."""
    for each in spent:
        await usage.grow(tx, owner, of_model(attempt_part(attempt), each), now())
    if spent:
        await usage.announce(tx, owner)


async def looked_up(tx: Tx, org: UUID) -> None:
    """The carrier has answered about a number, which is not kept with that."""
    owner = Owner(org, ids.new())
    await usage.put(tx, owner, [Used("", rules.LOOKUPS, each, 1) for each in LOOKED_UP], now())
    await usage.announce(tx, owner)


async def embedded(tx: Tx, org: UUID, spent: Sequence[Spent]) -> None:
    """A document's passages have vectors."""
    owner = Owner(org, ids.new())
    for each in spent:
        await usage.grow(tx, owner, of_model("", each), now())
    await usage.announce(tx, owner)


async def asked(tx: Tx, owner: Owner, spent: Spent) -> None:
    """A question to the knowledge has its vector.  A call that asks may go on: this counts at once, and waits for no lock."""
    used = of_model(f"question {ids.new()}", spent)
    if any(each.quantity for each in used):
        await usage.put_numbered(tx, owner, used, now())
        await usage.announce(tx, owner)


async def tried(tx: Tx, org: UUID, flow: UUID | None, spent: Sequence[Spent]) -> None:
    """What the model used to try a flow, or to propose one."""
    owner = Owner(org, ids.new(), flow)
    for each in spent:
        await usage.grow(tx, owner, of_model(TRIAL, each), now())
    if spent:
        await usage.announce(tx, owner)


async def spoken(tx: Tx, org: UUID, flow: UUID | None, model: str, audio_bytes: int) -> None:
    """A sentence was rendered; of a flow, unless somebody tries a voice."""
    owner, length_ms = Owner(org, ids.new(), flow), -(-audio_bytes // BYTES_PER_MS)
    await usage.put(tx, owner, [Used("", rules.SPEECH_MS, model[: rules.MOST_ITEM_CHARS], length_ms)], now())
    await usage.announce(tx, owner)
