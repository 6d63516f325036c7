"""The usage of calls, recorded in the transaction that learns of it, under the call's lock."""

from datetime import datetime
from uuid import UUID

from control.clients.openai import ModelUsage
from control.usage import meters, otherentries, pricetable
from hum.v1 import runtime_pb2
from storage import usage
from storage.calls import CallStateRow
from storage.db import Tx
from storage.usage import Owner, Usage

#: The part of the call's own leg.
LEG = "leg"


def stream_part(number: int) -> str:
    return f"stream {number}"


async def record_model_usage(tx: Tx, state: CallStateRow, stream: int, report: runtime_pb2.ModelUsed) -> None:
    """Record the usage of a response or transcription.  Its report is stored only once, so it counts once."""
    quantities = {
        meters.AUDIO_IN: report.audio_tokens_in,
        meters.TEXT_IN: report.text_tokens_in,
        meters.CACHED_AUDIO_IN: report.cached_audio_tokens_in,
        meters.CACHED_TEXT_IN: report.cached_text_tokens_in,
        meters.AUDIO_OUT: report.audio_tokens_out,
        meters.TEXT_OUT: report.text_tokens_out,
        meters.TRANSCRIPTION_MS: report.transcription_ms,
        meters.SESSION_MS: report.session_ms,
        meters.SPEECH_MS: report.speech_ms,
    }
    model, part = report.model[: pricetable.MOST_ITEM_CHARS], stream_part(stream)
    await _grow(tx, state, [Usage(part, meter, model, quantity) for meter, quantity in quantities.items()])


async def record_request_usage(tx: Tx, state: CallStateRow, part: str, spent: ModelUsage) -> None:
    """Record the model's usage after the call, once per request.  `part`: `summary`, `voicemail`."""
    await _grow(tx, state, otherentries.of_model(part, spent))


async def record_stream_end(tx: Tx, state: CallStateRow, stream: int, at: datetime) -> None:
    """Record the duration of a closed stream of the carrier."""
    opened_at = await usage.stream_opened_at(tx, state.id, stream)
    facts = await usage.call_facts(tx, state.id)
    if opened_at is not None and not facts.is_browser:
        await _put(tx, state, [_stream_entry(stream, (at - opened_at).total_seconds())])


async def record_call_end(tx: Tx, state: CallStateRow, at: datetime) -> None:
    """Record the end of a call; its usage counts from now on.

    The carrier's usage is estimated from the row where the carrier has not reported it.
    """
    facts = await usage.call_facts(tx, state.id)
    owner = Owner(state.org_id, state.id, facts.flow_id, facts.number_id)
    call_seconds = max(0, int((at - facts.answered_at).total_seconds())) if facts.answered_at else 0
    counts = [
        Usage("", meters.CALLS, "", 1),
        Usage("", meters.CALL_SECONDS, "", call_seconds),
        Usage("", meters.CALL_MINUTES, "", meters.minutes(call_seconds)),
    ]
    estimates = list[Usage]()
    if not facts.is_browser:
        if facts.connected_at is not None:
            estimates.append(_leg_entry(facts, _seconds((at - facts.connected_at).total_seconds())))
        if facts.judged:
            estimates.append(Usage(LEG, meters.MACHINE_DETECTIONS, pricetable.ANYTHING, 1))
        streams = await usage.streams(tx, state.id, at)
        estimates += [_stream_entry(number, seconds) for number, seconds in streams.items()]
    await usage.upsert(tx, owner, counts, at)
    await usage.store_missing(tx, owner, estimates, at)
    await usage.finalize(tx, state.id, at)


async def record_call_duration(tx: Tx, state: CallStateRow, seconds: int) -> None:
    """Record the carrier's duration of the call."""
    await _put(tx, state, [_leg_entry(await usage.call_facts(tx, state.id), seconds)])


async def record_transfer_estimate(tx: Tx, state: CallStateRow, transfer: UUID, to_e164: str, seconds: float) -> None:
    """Record our estimate of a transfer's duration."""
    await usage.store_missing(
        tx, await _owner(tx, state), [_transfer_entry(transfer, to_e164, _seconds(seconds))], state.ended_at
    )
    await _announce(tx, state)


async def record_transfer_duration(tx: Tx, state: CallStateRow, transfer: UUID, to_e164: str, seconds: int) -> None:
    """Record the carrier's duration of a transfer."""
    await _put(tx, state, [_transfer_entry(transfer, to_e164, seconds)])


def _transfer_entry(transfer: UUID, to_e164: str, seconds: int) -> Usage:
    return Usage(f"transfer {transfer}", meters.TRANSFER_SECONDS, pricetable.country(to_e164), seconds)


def _leg_entry(facts: usage.CallUsageFacts, seconds: int) -> Usage:
    if facts.direction == "outbound":
        return Usage(LEG, meters.OUTBOUND_SECONDS, pricetable.country(facts.to_e164), seconds)
    return Usage(LEG, meters.INBOUND_SECONDS, pricetable.country(facts.to_e164), seconds)


def _stream_entry(stream: int, seconds: float) -> Usage:
    return Usage(stream_part(stream), meters.STREAM_SECONDS, pricetable.ANYTHING, _seconds(seconds))


def _seconds(duration: float) -> int:
    """Round up to whole seconds, at least 0, as the clocks of two machines may differ a little."""
    return max(0, -int(-duration // 1))


async def _grow(tx: Tx, state: CallStateRow, entries: list[Usage]) -> None:
    await usage.add(tx, await _owner(tx, state), entries, state.ended_at)
    await _announce(tx, state)


async def _put(tx: Tx, state: CallStateRow, entries: list[Usage]) -> None:
    await usage.upsert(tx, await _owner(tx, state), entries, state.ended_at)
    await _announce(tx, state)


async def _owner(tx: Tx, state: CallStateRow) -> Owner:
    if state.ended_at is None:
        return Owner(state.org_id, state.id)  # the call's end sets the rest
    facts = await usage.call_facts(tx, state.id)
    return Owner(state.org_id, state.id, facts.flow_id, facts.number_id)


async def _announce(tx: Tx, state: CallStateRow) -> None:
    # Otherwise the event of the call's end makes the reader count it.
    if state.ended_at is not None:
        await usage.announce(tx, Owner(state.org_id, state.id))
