"""python -m bench.console.words: places a call, and prints when each of its words left the media plane.

Prints the call's id as soon as there is one, and at the end a line of JSON for each delta: `at_ms` (Unix), `item_id`, and the
item's text so far.
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Sequence

from cli import simulate
from cli.operator import operator
from cli.simulate import CallTarget
from hum.settings import UpSettings, load
from hum.v1 import calls_pb2, runtime_pb2
from sandbox.speech import Speech

LINES = (
    "Hello, I would like to come in for a dental cleaning please.",
    "Tuesday morning at nine would be perfect for me.",
    "Do you also open on Saturdays, and what does a whitening cost?",
    "Thank you very much, that is all I wanted to know.",
)


async def run(to: str, lines: Sequence[str]) -> None:
    settings, speech = load(UpSettings), Speech()
    try:
        spoken = await simulate.speak(lines, speech)
    finally:
        speech.close()
    call = await simulate.ring(CallTarget.find(settings), to, "+13175559001", simulate.sequential_steps(spoken))
    deltas = list[dict[str, object]]()
    following: asyncio.Task[None] | None = None
    async with operator(settings, "bench-console") as control:

        async def follow(call_id: str) -> None:
            said = defaultdict[str, str](str)
            request = runtime_pb2.FollowCallRequest(call_id=call_id)
            async for message in control.stub.FollowCall(request, metadata=control.metadata):
                event: calls_pb2.StreamCallResponse = message.event
                if event.WhichOneof("event") == "delta" and event.delta.text:
                    said[event.delta.item_id] += event.delta.text
                    at_ms = event.at.ToNanoseconds() / 1e6
                    item = event.delta.item_id
                    deltas.append(
                        {
                            "at_ms": at_ms,
                            "item_id": item,
                            "text": said[item],
                            "role": calls_pb2.Speaker.Name(event.delta.role),
                        }
                    )

        async for event in call.events():
            if event["event"] == "stream.started" and following is None:
                id = simulate.call_id(call)
                following = asyncio.create_task(follow(id))
                print(id, flush=True)
        await simulate.wait_until_ended(call)
        if following is not None:
            await asyncio.wait({following}, timeout=10)
    for delta in deltas:
        print(json.dumps(delta), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console.words", description=__doc__)
    parser.add_argument("--to", required=True)
    parser.add_argument("--lines", nargs="+", default=LINES)
    options = parser.parse_args(argv)
    asyncio.run(run(options.to, options.lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
