"""The person's clock: every 20 ms they hear a frame and produce one.

All frames count from one monotonic origin: after a stall the missed frames are made up for, so the audio never drifts.
"""

import asyncio
from itertools import count

from sandbox.loopclock import now
from sandbox.twilio.audio import FRAME_MS, is_audible
from sandbox.twilio.call import Call
from sandbox.twilio.caller import Breath
from sandbox.twilio.stream import Span, Stream

FRAME_S = FRAME_MS / 1000
#: Of a clock that is a float, virtual or not.
RESOLUTION_S = 1e-6


async def hold(call: Call) -> None:
    """Act as the person in this call, from its answer until cancelled or until they hang up."""
    await call.answered.wait()
    origin = now()
    for number in count():
        end = origin + (number + 1) * FRAME_S
        await asyncio.sleep(max(0.0, end - now()))
        while (early_s := end - now()) > RESOLUTION_S:  # noqa: ASYNC110 - uvloop's timers end up to a millisecond early
            await asyncio.sleep(early_s)
        lateness_ms = (now() - end) * 1000
        call.worst_lateness_ms = max(call.worst_lateness_ms, lateness_ms)
        call.late_frames += lateness_ms > FRAME_MS
        if _frame(call, origin + number * FRAME_S).act == "hang_up":
            call.hang_up("caller")
            return


def _frame(call: Call, begin: float) -> Breath:
    """One frame that began at `begin` of the loop's clock."""
    stream = call.open_stream
    if stream is not None and stream.clock_ms(begin) < 0:
        stream = None  # the stream began within this frame: it carries whole frames only
    heard = stream.heard_since(stream.clock_ms(begin)) if stream else _hears(call, begin)
    breath = call.caller.frame(is_audible(heard), heard)
    _write_down(call, stream, breath, begin)
    for tap in list(call.taps):
        tap(breath.payload, breath.digit)
    if stream is not None:
        stream.hear(stream.clock_ms(begin), breath.payload, breath.digit)
        if breath.act == "freeze":
            stream.freeze()
        elif breath.act == "vanish":
            stream.vanish()
    return breath


def _hears(call: Call, begin: float) -> bytes:
    if call.source is None:
        return b""
    heard = call.source.frame(begin)
    call.hearing.add(heard)
    return heard


def _write_down(call: Call, stream: Stream | None, breath: Breath, begin: float) -> None:
    end = begin + FRAME_S
    for event, facts in breath.notes:
        if event == "agent.silent":
            call.note(event, at=end - call.caller.ear.hangover_ms / 1000, **facts)
        elif facts.get("phase") == "end":
            call.note(event, at=end, **facts)
            if stream is not None and stream.spoken.spans:
                stream.spoken.spans[-1].end_ms = stream.clock_ms(end)
        else:
            call.note(event, at=begin, **facts)
            if stream is not None and facts.get("phase") == "begin":
                stream.spoken.spans.append(Span(stream.clock_ms(begin)))
