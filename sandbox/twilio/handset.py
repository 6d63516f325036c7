"""The person's clock: every 20 ms the person hears a frame and produces one.

All frames count from one monotonic origin: missed frames are made up for after a stall, so the audio never drifts.
"""

import asyncio
from itertools import count

from sandbox.audio import FRAME_MS, is_audible
from sandbox.loopclock import now
from sandbox.twilio.call import Call
from sandbox.twilio.caller import CallerFrame
from sandbox.twilio.stream import Stream, UtteranceSpan

FRAME_S = FRAME_MS / 1000
#: Resolution of a clock in float seconds, virtual or not.
RESOLUTION_S = 1e-6


async def hold(call: Call) -> None:
    """Run the person in this call, from its answer until cancellation or hang-up."""
    await call.answered.wait()
    origin = now()
    for number in count():
        end = origin + (number + 1) * FRAME_S
        await asyncio.sleep(max(0.0, end - now()))
        # uvloop's timers end up to a millisecond early.
        while (early_s := end - now()) > RESOLUTION_S:  # noqa: ASYNC110
            await asyncio.sleep(early_s)
        lateness_ms = (now() - end) * 1000
        call.worst_lateness_ms = max(call.worst_lateness_ms, lateness_ms)
        call.late_frames += lateness_ms > FRAME_MS
        if _frame(call, origin + number * FRAME_S).act == "hang_up":
            call.hang_up("caller")
            return


def _frame(call: Call, begin: float) -> CallerFrame:
    """Process the frame that began at `begin` on the loop's clock; return the person's output."""
    stream = call.open_stream
    if stream is not None and stream.clock_ms(begin) < 0:
        # The stream began within this frame, and carries whole frames only.
        stream = None
    heard = stream.heard_since(stream.clock_ms(begin)) if stream else _hear(call, begin)
    output = call.caller.frame(is_audible(heard), heard)
    _record(call, stream, output, begin)
    for tap in list(call.taps):
        tap(output.payload, output.digit)
    if stream is not None:
        stream.hear(stream.clock_ms(begin), output.payload, output.digit)
        if output.act == "freeze":
            stream.freeze()
        elif output.act == "vanish":
            stream.vanish()
    return output


def _hear(call: Call, begin: float) -> bytes:
    if call.source is None:
        return b""
    heard = call.source.frame(begin)
    call.heard_audio.add(heard)
    return heard


def _record(call: Call, stream: Stream | None, output: CallerFrame, begin: float) -> None:
    end = begin + FRAME_S
    for event, facts in output.notes:
        if event == "agent.silent":
            call.note(event, at=end - call.caller.agent.hangover_ms / 1000, **facts)
        elif facts.get("phase") == "end":
            call.note(event, at=end, **facts)
            if stream is not None and stream.spoken.spans:
                stream.spoken.spans[-1].end_ms = stream.clock_ms(end)
        else:
            call.note(event, at=begin, **facts)
            if stream is not None and facts.get("phase") == "begin":
                stream.spoken.spans.append(UtteranceSpan(stream.clock_ms(begin)))
