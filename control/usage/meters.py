"""The meters of usage, and the changes of roll-ups.  Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from hum.v1 import usage_pb2 as pb

KeyT = TypeVar("KeyT")

#: Counts without a price: calls, their seconds and begun minutes, messages.
CALLS, CALL_SECONDS, CALL_MINUTES = "calls", "call_seconds", "call_minutes"
MESSAGES_SENT, MESSAGES_RECEIVED = "messages_sent", "messages_received"
SIZED = frozenset({CALL_MINUTES, MESSAGES_SENT, MESSAGES_RECEIVED})
COUNTS = frozenset({CALLS, CALL_SECONDS, CALL_MINUTES, MESSAGES_SENT, MESSAGES_RECEIVED})

INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS = "inbound_seconds", "outbound_seconds", "transfer_seconds"
STREAM_SECONDS, MACHINE_DETECTIONS, LOOKUPS = "stream_seconds", "machine_detections", "lookups"
SEGMENTS_SENT, SEGMENTS_RECEIVED = "segments_sent", "segments_received"
MEDIA_SENT, MEDIA_RECEIVED = "media_messages_sent", "media_messages_received"
AUDIO_IN, TEXT_IN, AUDIO_OUT, TEXT_OUT = "audio_tokens_in", "text_tokens_in", "audio_tokens_out", "text_tokens_out"
CACHED_AUDIO_IN, CACHED_TEXT_IN = "cached_audio_tokens_in", "cached_text_tokens_in"
TRANSCRIPTION_MS, SPEECH_MS, SESSION_MS = "transcription_ms", "speech_ms", "session_ms"

MINUTE_S, MINUTE_MS, MILLION = 60, 60_000, 1_000_000
#: The quantity of a meter that a price is for; 1 for the others.
PER = {
    **dict.fromkeys((INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS), MINUTE_S),
    **dict.fromkeys((AUDIO_IN, TEXT_IN, AUDIO_OUT, TEXT_OUT, CACHED_AUDIO_IN, CACHED_TEXT_IN), MILLION),
    **dict.fromkeys((TRANSCRIPTION_MS, SPEECH_MS, SESSION_MS), MINUTE_MS),
}
#: Meters that the carrier charges by begun minutes.
BEGUN = frozenset({INBOUND_SECONDS, OUTBOUND_SECONDS, TRANSFER_SECONDS, STREAM_SECONDS})
METERS = frozenset(name.removeprefix("USAGE_METER_").lower() for name in pb.UsageMeter.keys()[1:])


def minutes(seconds: int) -> int:
    """Round up to begun minutes."""
    return -(-seconds // MINUTE_S)


def size(used: Iterable[tuple[str, int]]) -> int:
    """Return the sort key of flows and numbers: minutes of calls plus messages."""
    return sum(quantity for meter, quantity in used if meter in SIZED)


@dataclass(frozen=True, slots=True)
class Worth:
    """The counted quantity and cost of an entry; `basis`: `none`, `estimate`, `carrier`."""

    quantity: int
    cost: Decimal
    currency: str
    basis: str


def worth(quantity: int, price: tuple[Decimal, str] | None, estimate: tuple[Decimal, str] | None) -> Worth:
    """Return what to count of an entry.  `price`: the carrier's, which is preferred; `estimate`: by the price table."""
    if price is not None:
        return Worth(quantity, *price, "carrier")
    if estimate is not None:
        return Worth(quantity, *estimate, "estimate")
    return Worth(quantity, Decimal(0), "", "none")


def changes(counted: Iterable[tuple[KeyT, Worth | None, Worth]]) -> dict[tuple[KeyT, str, str], tuple[int, Decimal]]:
    """Return the changes of roll-ups, by key, basis and currency, that replace the first worth of entries by the second."""
    quantities: Counter[tuple[KeyT, str, str]] = Counter()
    costs: dict[tuple[KeyT, str, str], Decimal] = {}
    for key, before, after in counted:
        for value, sign in ((before, -1), (after, 1)):
            if value is not None:
                roll_up = (key, value.basis, value.currency)
                quantities[roll_up] += sign * value.quantity
                costs[roll_up] = costs.get(roll_up, Decimal(0)) + sign * value.cost
    return {roll_up: (quantities[roll_up], cost) for roll_up, cost in costs.items() if quantities[roll_up] or cost}
