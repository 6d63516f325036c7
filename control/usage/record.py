"""What calls use, written down where it becomes known; each in the transaction of what it is of, whose call is locked."""

from datetime import datetime
from uuid import UUID

from control.clients.openai import Spent
from control.usage import other, rules
from hum.v1 import runtime_pb2
from storage import usage
from storage.calls import CallState
from storage.db import Tx
from storage.usage import Owner, Used

#: The call's own leg.
LEG = "leg"


def stream_part(number: int) -> str:
    return f"stream {number}"


async def model_used(tx: Tx, state: CallState, stream: int, used: runtime_pb2.ModelUsed) -> None:
    """What one answer or transcription used; its report is stored once."""
    quantities = {
        rules.AUDIO_IN: used.audio_tokens_in,
        rules.TEXT_IN: used.text_tokens_in,
        rules.CACHED_AUDIO_IN: used.cached_audio_tokens_in,
        rules.CACHED_TEXT_IN: used.cached_text_tokens_in,
        rules.AUDIO_OUT: used.audio_tokens_out,
        rules.TEXT_OUT: used.text_tokens_out,
        rules.TRANSCRIPTION_MS: used.transcription_ms,
    }
    model, part = used.model[: rules.MOST_ITEM_CHARS], stream_part(stream)
    await _grow(tx, state, [Used(part, meter, model, quantity) for meter, quantity in quantities.items()])


async def answered(tx: Tx, state: CallState, part: str, spent: Spent) -> None:
    """What the model used after the call, each time that it was asked: `summary`, `voicemail`."""
    await _grow(tx, state, other.of_model(part, spent))


async def stream_ended(tx: Tx, state: CallState, stream: int, at: datetime) -> None:
    """The carrier's stream is closed."""
    opened_at = await usage.stream_opened_at(tx, state.id, stream)
    facts = await usage.call(tx, state.id)
    if opened_at is not None and not facts.is_browser:
        await _put(tx, state, [_streamed(stream, (at - opened_at).total_seconds())])


async def ended(tx: Tx, state: CallState, at: datetime) -> None:
    """The call is over, as its row says: the carrier's part of it, as far as nobody has told better; all of it counts now."""
    facts = await usage.call(tx, state.id)
    owner = Owner(state.org_id, state.id, facts.flow_id, facts.number_id)
    lasted = max(0, int((at - facts.answered_at).total_seconds())) if facts.answered_at else 0
    counts = [
        Used("", rules.CALLS, "", 1),
        Used("", rules.CALL_SECONDS, "", lasted),
        Used("", rules.CALL_MINUTES, "", rules.minutes(lasted)),
    ]
    guessed = list[Used]()
    if not facts.is_browser:
        if facts.connected_at is not None:
            guessed.append(_leg(facts, _seconds((at - facts.connected_at).total_seconds())))
        if facts.judged:
            guessed.append(Used(LEG, rules.MACHINE_DETECTIONS, rules.ANYTHING, 1))
        streams = await usage.streams(tx, state.id, at)
        guessed += [_streamed(number, seconds) for number, seconds in streams.items()]
    await usage.put(tx, owner, counts, at)
    await usage.keep(tx, owner, guessed, at)
    await usage.settle(tx, state.id, at)


async def lasted(tx: Tx, state: CallState, seconds: int) -> None:
    """The carrier says for how long it had the call."""
    await _put(tx, state, [_leg(await usage.call(tx, state.id), seconds)])


async def transferred(tx: Tx, state: CallState, transfer: UUID, to_e164: str, seconds: float) -> None:
    """For how long whoever was dialled was on the telephone, as we know it."""
    await usage.keep(tx, await _owner(tx, state), [_dialled(transfer, to_e164, _seconds(seconds))], state.ended_at)
    await _announce(tx, state)


async def dial_lasted(tx: Tx, state: CallState, transfer: UUID, to_e164: str, seconds: int) -> None:
    """The carrier says for how long it had whoever was dialled."""
    await _put(tx, state, [_dialled(transfer, to_e164, seconds)])


def _dialled(transfer: UUID, to_e164: str, seconds: int) -> Used:
    return Used(f"transfer {transfer}", rules.TRANSFER_SECONDS, rules.country(to_e164), seconds)


def _leg(facts: usage.CallFacts, seconds: int) -> Used:
    if facts.direction == "outbound":
        return Used(LEG, rules.OUTBOUND_SECONDS, rules.country(facts.to_e164), seconds)
    return Used(LEG, rules.INBOUND_SECONDS, rules.country(facts.to_e164), seconds)


def _streamed(stream: int, seconds: float) -> Used:
    return Used(stream_part(stream), rules.STREAM_SECONDS, rules.ANYTHING, _seconds(seconds))


def _seconds(lasted: float) -> int:
    """Whole ones, the last of which has begun; the clocks of two machines may disagree a little."""
    return max(0, -int(-lasted // 1))


async def _grow(tx: Tx, state: CallState, used: list[Used]) -> None:
    await usage.grow(tx, await _owner(tx, state), used, state.ended_at)
    await _announce(tx, state)


async def _put(tx: Tx, state: CallState, used: list[Used]) -> None:
    await usage.put(tx, await _owner(tx, state), used, state.ended_at)
    await _announce(tx, state)


async def _owner(tx: Tx, state: CallState) -> Owner:
    if state.ended_at is None:
        return Owner(state.org_id, state.id)  # the end sets the rest
    facts = await usage.call(tx, state.id)
    return Owner(state.org_id, state.id, facts.flow_id, facts.number_id)


async def _announce(tx: Tx, state: CallState) -> None:
    if state.ended_at is not None:  # else the end of the call will be read
        await usage.announce(tx, Owner(state.org_id, state.id))
