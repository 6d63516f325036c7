"""A stream's reports and time on the call's clock.  Pure."""

from datetime import datetime

from control.livecall.callstatus import TURNS_OF_A_STREAM
from hum.v1 import runtime_pb2

#: Of a 32-bit integer.  A media process reports at most this, whatever a carrier or a model said.
LATEST_MS = (1 << 31) - 1


def placed_in_call(report: runtime_pb2.Report, stream_number: int, offset_ms: int) -> runtime_pb2.Report:
    """Return a stream's report with its turn numbers and milliseconds moved from the stream's count to the call's.

    So turns of different streams never share a number, however late they arrive, and stay in the order of speech.
    """
    turns = (stream_number - 1) * TURNS_OF_A_STREAM
    if turns == offset_ms == 0:
        return report
    placed = runtime_pb2.Report()
    placed.CopyFrom(report)
    match placed.WhichOneof("report"):
        case "turn":
            placed.turn.seq += turns
            placed.turn.start_ms = min(LATEST_MS, placed.turn.start_ms + offset_ms)
            placed.turn.end_ms = min(LATEST_MS, placed.turn.end_ms + offset_ms)
        case "interruption":
            placed.interruption.at_ms = min(LATEST_MS, placed.interruption.at_ms + offset_ms)
            if placed.interruption.HasField("decided_ms"):
                placed.interruption.decided_ms = min(LATEST_MS, placed.interruption.decided_ms + offset_ms)
            if placed.interruption.HasField("turn_seq"):
                placed.interruption.turn_seq += turns
        case "refused_onset":
            placed.refused_onset.at_ms = min(LATEST_MS, placed.refused_onset.at_ms + offset_ms)
            placed.refused_onset.until_ms = min(LATEST_MS, placed.refused_onset.until_ms + offset_ms)
        case "latency":
            placed.latency.turn_seq += turns
        case "recording_pause":
            placed.recording_pause.start_ms = min(LATEST_MS, placed.recording_pause.start_ms + offset_ms)
            if placed.recording_pause.HasField("end_ms"):
                placed.recording_pause.end_ms = min(LATEST_MS, placed.recording_pause.end_ms + offset_ms)
        case "intervention" | "digits" | "flow_took_over" | "announcement_played" as kind:
            getattr(placed, kind).at_ms = min(LATEST_MS, getattr(placed, kind).at_ms + offset_ms)
    return placed


def seconds_left(longest: int, answered_at: datetime | None, at: datetime) -> int:
    """Return how many seconds a stream that begins now may last.

    A call's limit counts from its answer, over all its streams.  At least 1, so that the goodbye begins.
    """
    lasted_seconds = (at - answered_at).total_seconds() if answered_at else 0.0
    return max(1, longest - max(0, int(lasted_seconds)))
