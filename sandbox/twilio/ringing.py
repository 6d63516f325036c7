"""A phone that rings, until it is answered, refused, given up or canceled."""

import asyncio

from sandbox.loopclock import now
from sandbox.twilio.call import Call
from sandbox.twilio.farend import Person
from sandbox.twilio.progress import Progress

REFUSALS = {"busy": "busy", "no_answer": "no-answer", "failed": "failed"}


async def ring(call: Call, person: Person, patience_s: float, progress: Progress) -> str | None:
    """Let it ring; return the final status of a call that nobody answered, or None."""
    rings_s = patience_s if person.answers == "no_answer" else person.ring_ms / 1000
    if person.answers == "failed" or (person.answers == "busy" and not rings_s):
        return REFUSALS[person.answers]
    call.set_status("ringing")
    progress.tell("ringing")
    began = now()
    try:
        async with asyncio.timeout(min(rings_s, patience_s)):
            await call.diverted.wait()
    except TimeoutError:
        call.note("ringing.over", rang_ms=(now() - began) * 1000)
    else:
        return "canceled"
    return "no-answer" if rings_s > patience_s else REFUSALS.get(person.answers)
