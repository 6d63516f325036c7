"""The usage of texts, look-ups, clips and the AI's turns, recorded in the transaction that learns of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from control.clients.openai import ModelUsage
from control.usage import meters, pricetable
from hum import ids
from hum.clock import now
from storage import usage
from storage.db import Tx
from storage.usage import Owner, TextMeters, TextRow, Usage

SENT = TextMeters(meters.MESSAGES_SENT, meters.SEGMENTS_SENT, meters.MEDIA_SENT)
RECEIVED = TextMeters(meters.MESSAGES_RECEIVED, meters.SEGMENTS_RECEIVED, meters.MEDIA_RECEIVED)
#: Call audio: mu-law at 8 kHz.
BYTES_PER_MS = 8
#: The part of usage by trials and proposals.
TRIAL = "trial"
#: The data of a look-up, each priced separately.
LOOKED_UP = ("caller_name", "line_type_intelligence")


def of_model(part: str, spent: ModelUsage) -> list[Usage]:
    quantities = {
        meters.TEXT_IN: spent.text_in,
        meters.CACHED_TEXT_IN: spent.cached_text_in,
        meters.TEXT_OUT: spent.text_out,
        meters.AUDIO_IN: spent.audio_in,
        meters.TRANSCRIPTION_MS: spent.heard_ms,
    }
    return [
        Usage(part, meter, spent.model[: pricetable.MOST_ITEM_CHARS], quantity)
        for meter, quantity in quantities.items()
    ]


def attempt_part(number: int) -> str:
    return f"attempt {number}"


def sent_text(message: UUID, attempt: int, to_e164: str, segments: int) -> TextRow:
    return TextRow(message, attempt_part(attempt), pricetable.country(to_e164), segments)


async def record_sent_texts(tx: Tx, texts: Sequence[TextRow], at: datetime) -> None:
    """Record texts that the carrier has accepted, or newly counted the segments of."""
    if texts:
        await usage.upsert_texts(tx, texts, SENT, at)


async def record_received_texts(tx: Tx, segments: Mapping[UUID, int], number_e164: str, at: datetime) -> None:
    """Record inbound messages with their segments."""
    country = pricetable.country(number_e164)
    texts = [TextRow(message, "", country, count) for message, count in segments.items()]
    await usage.upsert_texts(tx, texts, RECEIVED, at)


async def record_text_price(tx: Tx, org: UUID, message: UUID, attempt: int, price: tuple[Decimal, str]) -> None:
    """Record the carrier's price of a text."""
    owner, sent = Owner(org, message), [meters.SEGMENTS_SENT, meters.MEDIA_SENT]
    if await usage.set_price(tx, owner, attempt_part(attempt), sent, *price):
        await usage.announce(tx, owner)


async def record_turn_usage(tx: Tx, owner: Owner, attempt: int, spent: list[ModelUsage]) -> None:
    """Record the model's usage in an attempt at a turn, step by step."""
    for step in spent:
        await usage.add(tx, owner, of_model(attempt_part(attempt), step), now())
    if spent:
        await usage.announce(tx, owner)


async def record_lookup(tx: Tx, org: UUID) -> None:
    """Record a look-up at the carrier, without its number."""
    owner = Owner(org, ids.new())
    await usage.upsert(tx, owner, [Usage("", meters.LOOKUPS, item, 1) for item in LOOKED_UP], now())
    await usage.announce(tx, owner)


async def record_embedding(tx: Tx, org: UUID, spent: Sequence[ModelUsage]) -> None:
    """Record the embedding of a document's passages."""
    owner = Owner(org, ids.new())
    for step in spent:
        await usage.add(tx, owner, of_model("", step), now())
    await usage.announce(tx, owner)


async def record_question(tx: Tx, owner: Owner, spent: ModelUsage) -> None:
    """Record the embedding of a question to the knowledge, without a lock, as the call that asks goes on meanwhile."""
    used = of_model(f"question {ids.new()}", spent)
    if any(entry.quantity for entry in used):
        await usage.upsert_numbered(tx, owner, used, now())
        await usage.announce(tx, owner)


async def record_task(tx: Tx, owner: Owner, spent: Sequence[ModelUsage]) -> None:
    """Record the model's usage in a task of a call, without a lock, as the call goes on meanwhile."""
    for step in spent:
        await usage.upsert_numbered(tx, owner, of_model(f"task {ids.new()}", step), now())
    if spent:
        await usage.announce(tx, owner)


async def record_trial(tx: Tx, org: UUID, flow: UUID | None, spent: Sequence[ModelUsage]) -> None:
    """Record the model's usage in a trial or a proposal of a flow."""
    owner = Owner(org, ids.new(), flow)
    for step in spent:
        await usage.add(tx, owner, of_model(TRIAL, step), now())
    if spent:
        await usage.announce(tx, owner)


async def record_speech(tx: Tx, org: UUID, flow: UUID | None, model: str, audio_bytes: int) -> None:
    """Record a rendered sentence: of a flow, or a preview of a voice."""
    owner, length_ms = Owner(org, ids.new(), flow), -(-audio_bytes // BYTES_PER_MS)
    await usage.upsert(tx, owner, [Usage("", meters.SPEECH_MS, model[: pricetable.MOST_ITEM_CHARS], length_ms)], now())
    await usage.announce(tx, owner)
