"""The ringing of a phone, until it is answered, refused, timed out or canceled."""

import asyncio

from sandbox.loopclock import now
from sandbox.twilio.call import Call
from sandbox.twilio.farend import Person
from sandbox.twilio.progress import Progress

REFUSALS = {"busy": "busy", "no_answer": "no-answer", "failed": "failed"}


async def ring(call: Call, person: Person, timeout_s: float, progress: Progress) -> str | None:
    """Ring; return the final status of a call without an answer, or None."""
    rings_s = timeout_s if person.answers == "no_answer" else person.ring_ms / 1000
    if person.answers == "failed" or (person.answers == "busy" and not rings_s):
        return REFUSALS[person.answers]
    call.set_status("ringing")
    progress.publish("ringing")
    began = now()
    try:
        async with asyncio.timeout(min(rings_s, timeout_s)):
            await call.diverted.wait()
    except TimeoutError:
        call.note("ringing.over", rang_ms=(now() - began) * 1000)
    else:
        return "canceled"
    return "no-answer" if rings_s > timeout_s else REFUSALS.get(person.answers)
