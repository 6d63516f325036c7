"""The endings of calls and their streams: status and reason.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.calls.prompts import CallerPrompt, localized
from control.calls.routing import Connect, Refuse, no_capacity
from control.livecall.callstatus import AWAY_REASON, CARRIER_ENDINGS, LIVE
from control.livecall.nextsteps import NextStep, TakeMessage

#: How many streams a call may open within STREAMS_WITHIN before it is ended; streams that are lost minutes apart don't
#: end it.
MAX_STREAMS, STREAMS_WITHIN = 3, timedelta(minutes=1)
#: Reason of a stream's end -> the call's status.  `carrier_lost` is missing, since then the carrier decides what
#: happens.
ENDINGS: Mapping[str, str] = {
    "caller": "completed",
    "connection_lost": "completed",
    "agent": "completed",
    "hang_up": "completed",
    "max_duration": "completed",
    "idle": "completed",
    "machine": "completed",
    "fax": "completed",
    "drained": "completed",
    "message_taken": "completed",
    "no_message": "completed",
    "message_failed": "failed",
    "model_refused": "failed",
    "model_lost": "failed",
    "carrier_protocol": "failed",
}
STREAM_LOST = "carrier_lost"
#: The reason of a call that was closed without a report of how its last stream ended.
UNREPORTED = "stream_lost"
#: The reasons that the media process's report of the last stream's end replaces.
BEFORE_REPORT = frozenset({UNREPORTED, AWAY_REASON})


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """The numbers of a call's streams that were offered and opened, without those that were left on purpose.

    `lately`: how many were opened within STREAMS_WITHIN.
    """

    offered: int
    opened: int
    lately: int


def after_stream(
    status: str, streams: StreamCounts, language: str | None, due: NextStep | None = None, *, full: bool = False
) -> Connect | Refuse | NextStep | None:
    """Decide what to do with a call after its stream has closed or was refused; None for a call that is over.

    `due`: the step for which its last stream was left.  `full`: no media process takes another call.
    """
    if status not in LIVE:
        return None
    if due is not None and not isinstance(due, TakeMessage):
        return due
    if not full and streams.lately < MAX_STREAMS and streams.offered - streams.opened < MAX_OFFERS:
        return due or Connect()
    if not streams.opened:
        return no_capacity(language)
    return Refuse(*localized(CallerPrompt.APOLOGY, language), "failed", "stream_lost")


def orphan_ending(
    *, joined: bool, was_answered: bool, carrier_status: str | None, is_long_lost: bool, dialled: str | None = None
) -> tuple[str, str] | None:
    """Return the final status and reason of an orphaned call, or None if it may still be live.

    `was_answered`: the carrier returned the call's status, or (None) that it has no such call.  `is_long_lost`: enough
    time has passed for a media process to report the call's end, even after an outage of control.  `dialled`: for a
    call in a dial, which only the carrier has, perhaps for hours: the reason if it has ended.
    """
    if dialled is not None:
        is_live = carrier_status is not None and carrier_status not in CARRIER_ENDINGS
        return ("completed", dialled) if was_answered and not is_live else None
    if not is_long_lost and (joined or not was_answered):
        return None
    if was_answered and carrier_status is not None:
        ended = CARRIER_ENDINGS.get(carrier_status)
        if ended is None:
            return None
        return ("completed", "stream_lost") if joined else (ended, "caller")
    return ("failed", "stream_lost") if joined else ("failed", "no_stream")


def is_assumed(reason: str | None, ended_at: datetime, apologized_at: datetime) -> bool:
    """Tell whether a call's end was assumed, so that the apology which the caller heard replaces it.

    A caller who hung up after the apology began has heard it.
    """
    return reason in {UNREPORTED, "no_stream"} or (reason == "caller" and apologized_at <= ended_at)


def not_connected(refusal: str | None) -> tuple[str, str]:
    """Return the status and reason of a browser's call that never had a stream.

    `refusal`: the kind of the media process's reply; None if none came in time.
    """
    match refusal:
        case None:
            return ("failed", "no_answer")
        case "bad_offer":
            return ("failed", "bad_offer")
        case "refused":
            return ("failed", "no_capacity")
        case _:
            return ("failed", "not_connected")


def hung_up(*, joined: bool, was_going_on: bool, placed: bool = False) -> tuple[str, str]:
    """Return the status and reason of a call that a person ends at the carrier.

    `was_going_on`: the carrier still had the call.  `placed`: the call is outbound.
    """
    status = "completed" if joined else "canceled"
    if was_going_on or (placed and not joined):
        return status, "hang_up"
    return status, "stream_lost" if joined else "caller"


#: How many offered streams may fail to open: where processes share a port, the kernel may choose a process that takes
#: no more calls although another one does.
MAX_OFFERS = 12
#: How long a quarantined report is retained for investigation.
KEEP_SET_ASIDE = timedelta(days=30)
#: How long the row of a media process that is gone is retained: longer than any call.
KEEP_LINKS = timedelta(days=7)
